from pathlib import Path

import numpy as np
import pytest

from sweeplab.errors import UserError
from sweeplab.records.curves import columns, curve

LINES = "epoch,step,val/acc,val/loss\r\n0,10,0.5,\r\n0,10,,1.25\r\n1,20,0.75,inf\r\n"


def written(folder: Path, text: str) -> Path:
    (folder / "metrics.csv").write_text(text, newline="")
    return folder


def test_columns_are_what_the_file_has_with_nan_where_it_has_nothing(tmp_path: Path) -> None:
    logged = columns(written(tmp_path, LINES))
    assert list(logged) == ["epoch", "step", "val/acc", "val/loss"]
    np.testing.assert_array_equal(logged["val/acc"], [0.5, np.nan, 0.75])
    np.testing.assert_array_equal(logged["val/loss"], [np.nan, 1.25, np.inf])


def test_a_curve_has_the_steps_at_which_its_metric_was_logged(tmp_path: Path) -> None:
    steps, values = curve(columns(written(tmp_path, LINES)), "val/acc")
    assert (steps.tolist(), values.tolist()) == ([10, 20], [0.5, 0.75])


def test_steps_that_were_taken_again_after_a_resume_count_once_with_the_later_value(tmp_path: Path) -> None:
    text = "step,val/acc\r\n10,0.1\r\n20,0.2\r\n30,0.3\r\n20,0.4\r\n30,0.5\r\n"
    steps, values = curve(columns(written(tmp_path, text)), "val/acc")
    assert (steps.tolist(), values.tolist()) == ([10, 20, 30], [0.1, 0.4, 0.5])


@pytest.mark.parametrize("rest", ["1,30,0.8", "1,3", ""])
def test_a_row_that_is_just_being_written_is_left_out(tmp_path: Path, rest: str) -> None:
    np.testing.assert_array_equal(columns(written(tmp_path, LINES + rest))["step"], [10, 10, 20])


def test_a_file_without_rows_has_empty_columns(tmp_path: Path) -> None:
    assert columns(written(tmp_path, "")) == {}
    assert columns(written(tmp_path, "step,val/acc\r\n"))["val/acc"].shape == (0,)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("step,val/acc\r\n10,high\r\n", "is broken: could not convert string to float: 'high'"),
        ("step,val/acc\r\n10,0.1\r\n10\r\n", "is broken"),
        ("step,val/acc\r\n10\r\n20\r\n", "is broken"),
        ("name,age\r\n1,2\r\n", "has no column step"),
    ],
)
def test_what_is_no_table_of_numbers_is_said(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        columns(written(tmp_path, text))


def test_a_run_without_the_file_and_a_misspelt_metric_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no metrics\.csv"):
        columns(tmp_path)
    with pytest.raises(UserError, match="val/ac was not logged; did you mean 'val/acc'"):
        curve(columns(written(tmp_path, LINES)), "val/ac")
