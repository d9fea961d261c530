from pathlib import Path

import pytest

from sweeplab.errors import UserError
from sweeplab.records.study import Axis, Study, studies_of

CNN = Study("cnn", "python train.py -m", [{"metric": "acc", "mode": "max"}], {"lr": Axis(low=0.1, high=1, log=True)})


def test_a_study_is_read_as_it_was_written(tmp_path: Path) -> None:
    CNN.write(tmp_path)
    assert Study.read(tmp_path) == CNN
    with pytest.raises(UserError, match=r"is not the folder of a sweep: it has no sweep\.json"):
        Study.read(tmp_path / "0")


def test_a_study_is_found_from_its_runs_and_their_repeats(tmp_path: Path) -> None:
    CNN.write(tmp_path / "cnn")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sweep.json").write_text("{")
    skipped: list[tuple[Path, str]] = []
    runs = [tmp_path / "cnn" / "0", tmp_path / "cnn" / "1" / "0", tmp_path / "broken" / "0", tmp_path / "alone"]
    assert studies_of(runs, skipped) == {tmp_path / "cnn": CNN}
    assert [path for path, _ in skipped] == [tmp_path / "broken" / "sweep.json"]
