import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sweeplab.errors import UserError
from sweeplab.records.config import save
from sweeplab.records.resume import check_resumable, last_checkpoint, resumed
from tests.sweeplab.records.made_runs import make_run


def test_of_several_stages_the_one_written_last_goes_on(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    for seconds, stage in enumerate(("", "first", "second")):
        path = tmp_path / "checkpoints" / stage / "last.ckpt"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (seconds, seconds))
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoints" / "second" / "last.ckpt"


@pytest.mark.parametrize(
    ("facts", "overrides", "message"),
    [
        ({"status": "failed"}, (), "has no checkpoints/last.ckpt"),
        ({"status": "failed"}, ("seed=3",), "seed cannot change in a resumed run"),
        ({"status": "pruned", "checkpoints_removed": True}, (), "removed its checkpoints"),
        ({"status": "complete"}, (), r"is complete; to train longer, add trainer\.max_epochs=6"),
    ],
)
def test_why_a_run_cannot_go_on_is_said(
    tmp_path: Path, facts: dict[str, object], overrides: tuple[str, ...], message: str
) -> None:
    run = make_run(tmp_path / "run", {"seed": 0, "trainer": {"max_epochs": 3}}, **facts)  # type: ignore[arg-type]  # facts of any kind
    with pytest.raises(UserError, match=message):
        check_resumable(run.folder, overrides)


def test_what_a_first_process_has_removed_is_not_removed_again(tmp_path: Path) -> None:
    save(OmegaConf.create({"folder": str(tmp_path), "a": 1}), tmp_path)
    assert resumed(tmp_path, ["~b", "a=2"]) == {"folder": str(tmp_path), "a": 2}
