from pathlib import Path

from sweeplab.sweep.config.config_files import copy_config_files

FILES = {"config.yaml", "model/mlp.yaml", "model/cnn.yaml"}


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a: 1\n")
    return folder


def copied(source: Path, folder: Path) -> Path:
    return copy_config_files({1: source}, folder)[1]


def test_a_folder_of_everything_is_copied_without_the_sweeps_in_it(tmp_path: Path) -> None:
    write(tmp_path, *FILES, "notes.txt", ".git/config.yaml", "multirun/other/best.yaml")
    copy = copied(tmp_path, tmp_path / "multirun" / "one")
    assert {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()} == FILES


def test_a_link_that_leads_back_is_not_followed(tmp_path: Path) -> None:
    conf = write(tmp_path / "conf", *FILES)
    (conf / "again").symlink_to(conf)
    (conf / "network").symlink_to(conf / "model")
    copy = copied(conf, tmp_path / "sweep")
    assert not (copy / "again").exists()
    assert (copy / "network" / "cnn.yaml").exists()


def test_files_of_one_name_in_several_sources_are_kept_apart(tmp_path: Path) -> None:
    sources = {number: write(tmp_path / f"conf{number}", "config.yaml") for number in (1, 3)}
    (sources[3] / "config.yaml").write_text("a: 3\n")
    copies = copy_config_files(sources, tmp_path / "sweep")
    assert [(copies[number] / "config.yaml").read_text() for number in (1, 3)] == ["a: 1\n", "a: 3\n"]
