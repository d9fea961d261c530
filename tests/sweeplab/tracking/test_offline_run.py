import io
from pathlib import Path

import pytest
import wandb
from hypothesis import given
from hypothesis import strategies as st

from sweeplab.tracking.offline_run import BLOCK, IDENT, PIECE, TornLogError, _records, _write, read, rewrite
from tests.wandb_log import records

AROUND_A_BLOCK = BLOCK - PIECE.size - len(IDENT)
SIZES = st.one_of(st.integers(0, 40), st.integers(AROUND_A_BLOCK - 20, AROUND_A_BLOCK + 20), st.just(3 * BLOCK))


@given(st.lists(SIZES, max_size=6))
def test_what_is_written_is_read_back_whatever_the_blocks(sizes: list[int]) -> None:
    written = [bytes([number]) * size for number, size in enumerate(sizes)]
    file = io.BytesIO()
    _write(file, written)
    file.seek(0)
    assert list(_records(file)) == written


@given(st.lists(st.integers(1, 2 * BLOCK), min_size=1, max_size=3), st.data())
def test_a_log_that_stops_within_a_record_gives_those_before_it(sizes: list[int], data: st.DataObject) -> None:
    written = [bytes([number]) * size for number, size in enumerate(sizes)]
    file = io.BytesIO()
    _write(file, written)
    cut = data.draw(st.integers(1, sizes[-1]))
    left = _records(io.BytesIO(file.getvalue()[:-cut]))
    assert [next(left) for _ in written[:-1]] == written[:-1]
    with pytest.raises(TornLogError):
        next(left)


def test_a_damaged_record_ends_the_log() -> None:
    file = io.BytesIO()
    _write(file, [b"first", b"second"])
    damaged = file.getvalue().replace(b"second", b"secunD")
    records_left = _records(io.BytesIO(damaged))
    assert next(records_left) == b"first"
    with pytest.raises(TornLogError):
        next(records_left)


@pytest.mark.slow
def test_wandb_reads_a_rewritten_log_as_the_one_before(tmp_path: Path) -> None:
    settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
    run = wandb.init(project="p", dir=str(tmp_path), id="cnn-0", mode="offline", config={"lr": 1}, settings=settings)
    for row in range(500):
        run.log({"row": row, "text": "x" * (row % 400)})
    run.finish(exit_code=3)
    wandb.teardown()
    (log,) = tmp_path.glob("wandb/offline-*/*.wandb")
    assert log.stat().st_size > 3 * BLOCK
    copy = tmp_path / "copy" / log.name
    rewrite(log, copy, entity="team", project="other", moved={})
    assert records(copy, "history") == records(log, "history")
    before, after = read(log), read(copy)
    assert before is not None
    assert after is not None
    assert (before.entity, before.project, before.is_whole) == ("", "p", True)
    assert (after.entity, after.project, after.is_whole, after.started) == ("team", "other", True, before.started)
