from pathlib import Path

import pytest
import wandb

from sweeplab.records.record import Status
from sweeplab.sweep.trial import Trial
from sweeplab.tracking.metadata import MAX_NAME_LENGTH, exit_code_of, run_id, run_name, write_ending
from tests.wandb_log import summary


def test_an_id_has_only_signs_that_wandb_takes() -> None:
    assert run_id("lr=1e-3, café/2") == "lr-1e-3-caf-2"


def test_a_name_has_the_number_the_repeat_and_what_varies_as_far_as_it_is_short() -> None:
    params = {"optimizer.lr": 3e-4, "model": "cnn"}
    assert run_name("cnn", Trial("study", 12, params)) == "cnn #12 lr=3e-4"  # the title tells the model
    assert run_name(None, Trial("study", 12, params, repeat=1)) == "#12.1 lr=3e-4 model=cnn"
    long = run_name("cnn", Trial("study", 12, {f"key{number}": number for number in range(40)}))
    assert long.startswith("cnn #12 key0=0 key1=1 ")
    assert long.endswith(" ...")
    assert len(long) <= MAX_NAME_LENGTH


@pytest.mark.parametrize("status", Status)
def test_only_what_came_to_its_end_is_finished(status: Status) -> None:
    assert exit_code_of(status) == (0 if status in (Status.COMPLETE, Status.PRUNED) else 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "in_study", "optuna", "tags"),
    [
        (Status.PRUNED, True, "PRUNED", ["mine", "pruned"]),
        (Status.KILLED, True, "FAIL", ["mine"]),
        (Status.INTERRUPTED, True, "FAIL", ["mine", "interrupted"]),
        (Status.INTERRUPTED, False, None, ["mine"]),  # it may be resumed, and tags stay
    ],
)
def test_a_run_tells_how_it_ended(
    tmp_path: Path, status: Status, in_study: bool, optuna: str | None, tags: list[str]
) -> None:
    run = wandb.init(mode="offline", dir=tmp_path, project="p", tags=["mine"], settings={"silent": True})
    write_ending(run, status, "why", in_study=in_study)
    run.finish(exit_code=exit_code_of(status))
    wandb.teardown()
    told = summary(Path(run.settings.sync_dir))
    assert (told["summary"]["status"], told["summary"]["reason"]) == (str(status), "why")
    assert (told["summary"].get("optuna/state"), told["tags"]) == (optuna, tags)
