from pathlib import Path

import pytest

from sweeplab.errors import UserError
from sweeplab.records.flat import flat, interpolations
from tests.sweeplab.records.made_runs import make_run


def test_keys_are_dotted_and_lists_are_values(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"data": {"size": 3, "classes": [1, {"a": 2}]}, "empty": {}})
    assert flat(run.folder) == {"folder": "${folder}", "data.size": 3, "data.classes": [1, {"a": 2}], "empty": {}}
    assert flat(tmp_path) == {}


@pytest.mark.parametrize("name", ["run", "a run: it's"])
def test_paths_in_the_folder_are_the_same_for_all_runs(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    run = make_run(folder, {"path": f"{folder}/sub", "other": f"{folder}2/sub"})
    assert (flat(run.folder)["path"], flat(run.folder)["other"]) == ("${folder}/sub", f"{folder}2/sub")


def test_what_was_worked_out_from_other_keys_is_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"seed": 0}, derived={"split": "seed"})
    assert interpolations(run.folder) == {"split": "${seed}"}
    (run.folder / ".hydra" / "config.yaml").write_text("[")
    assert interpolations(run.folder) == {}


def test_what_is_no_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"config\.yaml is not a configuration"):
        flat(tmp_path)
