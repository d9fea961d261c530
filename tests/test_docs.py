import ast
import inspect
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from bench.synthetic import make_study
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from train import train

from sweeplab.report.command import main
from sweeplab.training.check import check
from tests.conftest import ROOT, SMALL, Command

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
RUN = "outputs/2026-01-31/12-00-00-123456"
COMMANDS = sorted(
    {
        (page.name, re.split(r"\s(?:#|>)", line)[0].strip())
        for page in PAGES
        for line in re.findall(r"^    (?:\$ )?(python (?:train|eval)\.py.*)$", page.read_text(), re.M)
    }
)
COMPARISONS = sorted(
    {
        (page.name, line.split("  #")[0].strip())
        for page in PAGES
        for line in re.findall(r"^    (python compare\.py.*)$", page.read_text(), re.M)
    }
)
TRAIN = [(page, line) for page, line in COMMANDS if " train.py" in line and not re.search(" re(?:sume|run)=", line)]
SWEEPS = [(page, line) for page, line in TRAIN if " -m " in line]
SINGLE = [command for command in TRAIN if command not in SWEEPS]
# By the reader, besides what snippets say.
WRITTEN = {"conf/local/default.yaml", "conf/space/sines.yaml", "conf/space/wide_network.yaml", "src/lab/models/wide.py"}
PAGES_THAT_ADD = [
    "README.md",
    "docs/bring-your-own.md",
    "docs/models.md",
    "docs/data.md",
    "docs/spaces.md",
    "docs/sweeps.md",
    "docs/sweep-reference.md",
]


def snippets(page: str) -> dict[str, str]:
    """The files that a page tells the reader to write, by their paths."""
    text = (ROOT / page).read_text()
    return dict(re.findall(r"`((?:src|conf)/[\w/]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)```", text, re.S))


def test_every_page_that_adds_files_is_followed() -> None:
    adding = {str(page.relative_to(ROOT)) for page in PAGES if snippets(str(page.relative_to(ROOT)))}
    assert adding == set(PAGES_THAT_ADD)


def test_the_training_function_that_a_page_shows_is_the_one_that_trains() -> None:
    shown = re.findall(r"```python\n(def train.*?)```", (ROOT / "docs/training.md").read_text(), re.S)[0]
    assert own_steps(shown) == own_steps((ROOT / "src/lab/train.py").read_text())


def own_steps(code: str) -> str:
    """The training function of a piece of code, without what it says of itself."""
    (function,) = (node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef))
    if ast.get_docstring(function):
        del function.body[0]
    return ast.unparse(function)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_a_page_can_be_read_in_one_sitting(page: Path) -> None:
    assert len(page.read_text().splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
    for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)", page.read_text()):
        assert heading in anchors(page.parent / target if target else page), f"{target}#{heading}"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    written = {path for each in PAGES_THAT_ADD for path in snippets(each)}
    for target in re.findall(r"`((?:src|conf|docs|bench|tests|lab)/[\w/.-]+)`", page.read_text()):
        path = ROOT / ("src" if target.startswith("lab/") else "") / target
        assert path.exists() or target in written | WRITTEN, target


@pytest.fixture
def hydra() -> Iterator[Hydra]:
    """What answers in this process as it does behind train.py, for speed."""
    yield Hydra.create_main_hydra2("train", create_config_search_path(str(ROOT / "conf")))
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None


@pytest.mark.slow
@pytest.mark.parametrize(("page", "line"), SINGLE, ids=[f"{page}: {line}" for page, line in SINGLE])
def test_commands_for_training_compose(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest, page: str, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)[2:]
    if any(word.startswith("init_from=") for word in words):
        finished = shutil.copytree(ROOT / "tests/earlier/v1/outputs/complete", tmp_path / RUN)
        assert finished.is_dir()
    if not {"--help", "--cfg", "optimiser.lr=0.1"} & set(words):
        np.savez(tmp_path / "my.npz", x=np.zeros(1))
        config = request.getfixturevalue("hydra").compose_config("train", words, RunMode.RUN)
        HydraConfig.instance().set_config(config)
        check(config)
        return
    command: Command = request.getfixturevalue("command")
    done = command("train.py", *words, check="optimiser.lr=0.1" not in words)
    assert done.returncode == 0 or done.stderr.strip() in (ROOT / page).read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("page", "line"), SWEEPS, ids=[f"{page}: {line}" for page, line in SWEEPS])
def test_commands_for_sweeps_make_trials(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    hydra: Hydra,
    page: str,
    line: str,
) -> None:
    """The space is checked, and trials are drawn, but none is run."""
    monkeypatch.chdir(tmp_path)
    words = [word for word in shlex.split(line)[2:] if word != "-m"]
    if "hydra/sweeper=basic" in words:  # it has no preview
        hydra.compose_config("train", words, RunMode.MULTIRUN)
        return
    words.append("hydra.sweeper.preview=true")
    hydra.multirun("train", inspect.unwrap(train), words, with_log_configuration=False)
    assert [one for one in capsys.readouterr().out.splitlines() if one.startswith("  python ")]
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs that the pages compare."""
    folder = tmp_path_factory.mktemp("compared")
    for name in ("cnn", "cnn-small"):
        make_study(folder / "multirun" / name, 60)
    shutil.copytree(ROOT / "tests/sweeplab/records/studies/nets", folder / "multirun/nets")
    record = folder / "multirun/nets/0/run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "tags": ["first"]}))
    shutil.copytree(folder / "multirun/nets/0", folder / RUN)
    return folder


@pytest.mark.parametrize(("page", "line"), COMPARISONS, ids=[f"{page}: {line}" for page, line in COMPARISONS])
def test_commands_for_comparing_show_a_table(
    monkeypatch: pytest.MonkeyPatch, compared: Path, capsys: pytest.CaptureFixture[str], page: str, line: str
) -> None:
    monkeypatch.chdir(compared)
    words = shlex.split(line)[2:]
    main("", words)
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) > 2
    for word, path in pairwise(words):
        if word in ("--csv", "--json", "--markdown", "--html"):
            assert Path(path).stat().st_size > 0
            Path(path).unlink()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES_THAT_ADD)
def test_what_a_page_tells_to_add_works(tmp_path: Path, page: str) -> None:
    """Follow the page in a copy of the project: write its files, run its command."""
    import subprocess
    import sys

    text = (ROOT / page).read_text()
    files = snippets(page)
    assert files
    for name in ("conf", "src", "train.py"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    lines = re.findall(r"Then `python (train\.py [^`]+)`", text)
    assert lines
    for line in lines:
        done = subprocess.run(
            [sys.executable, *shlex.split(line), *SMALL[:2]],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert re.search("Everything is in|All trials: ", done.stdout + done.stderr)


@pytest.mark.slow
def test_the_readmes_path_from_training_to_predictions(command: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 8, 8)), np.arange(80) % 3
    for name in ("my.npz", "new.npz"):
        np.savez(tmp_path / name, x_train=x, y_train=y, x_test=x, y_test=y)
    lines = [line for page, line in COMMANDS if page == "README.md"]
    own_data = next(line for line in lines if "data.path=my.npz" in line)
    command(*shlex.split(own_data)[1:], *SMALL[:2], f"hydra.run.dir={RUN}")
    followed = [line for line in lines if RUN in line and ("resume=" in line or " eval.py" in line)]
    assert len(followed) == 5
    for line in sorted(followed, key=lambda line: "resume=" not in line):
        done = command(*shlex.split(line)[1:], check=False)
        complete = "resume=" in line and "max_epochs" not in line
        assert done.returncode == (1 if complete else 0), line + done.stderr
    assert len(list((tmp_path / RUN / "eval").iterdir())) == 3
