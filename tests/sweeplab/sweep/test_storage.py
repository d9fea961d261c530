from pathlib import Path

import pytest

from sweeplab.errors import UserError
from sweeplab.runs.study import Study
from sweeplab.sweep.storage import open_storage
from tests.sweeplab.sweep.conftest import Start, Sweep, output, trials

SECRET = "geheim"
# SQLite ignores what it does not know in the address of a file.
URL = f"sqlite:///file:study.db?uri=true&password={SECRET}"


def told(folder: Path) -> list[Path]:
    """The files that hold the password."""
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.slow
def test_no_password_is_written_or_printed(start: Start, folder: Path) -> None:
    for goes_on in (False, True):
        line = ("x=1,2", f'hydra.sweeper.storage="{URL}"')
        ending = () if goes_on else ("how=raises", "hydra.sweeper.fail_fast=true", "study=failing")
        process = start(*line, *ending)
        text = output(process)
        assert process.returncode == (0 if goes_on else 1), text
        assert SECRET not in text
        assert told(folder) == []
    assert Study.read(Path("multirun/study").absolute()).storage == URL.replace(SECRET, "***")
    assert [trial.state.name for trial in trials(storage=URL)] == ["COMPLETE", "COMPLETE"]


@pytest.mark.slow
def test_a_password_from_the_environment_stays_where_it_is(
    sweep: Sweep, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWEEPS", URL)
    storage = "hydra.sweeper.storage=${oc.env:SWEEPS}"
    monkeypatch.setattr("sys.argv", ["app.py", "-m", "x=1,2", storage])
    assert sweep("x=1,2", storage, "how=raises", "hydra.sweeper.fail_fast=true") == 1
    assert f"To go on: python app.py -m x=1,2 '{storage}' study=study\n" in capsys.readouterr().out
    assert told(folder) == []
    assert "storage: ${oc.env:SWEEPS}" in Path("multirun/study/multirun.yaml").read_text()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:***@host/db", r"has no password: write yours for \*\*\*"),
        ("postgresql://u:gehe@im@host/db", "write %40 for each @"),
        ("sqlite:////no/such/folder/s.db?password=geheim", "there is no folder /no/such/folder"),
        ("no://u:geheim@host", "cannot be opened"),
    ],
)
def test_what_is_wrong_with_a_storage_is_told_without_its_password(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        open_storage(url, tmp_path)
    assert SECRET not in str(error.value)
