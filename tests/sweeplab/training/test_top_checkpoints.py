import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import DictConfig
from optuna.trial import create_trial

from sweeplab.errors import UserError
from sweeplab.records import record
from sweeplab.records.ending import recorded
from sweeplab.training import top_checkpoints
from sweeplab.training.top_checkpoints import TopCheckpoints
from tests.conftest import Command, small
from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import Sweep, folder, states, sweep

__all__ = ["folder", "sweep"]  # fixtures

KEEP = "+hydra.sweeper.listeners.top={_target_: sweeplab.listeners.TopCheckpoints, keep: %s}"
STUDY = Path("multirun", "study")
ONE_BY_ONE = "hydra.sweeper.n_jobs=1"


def trains(config: DictConfig) -> Any:
    """Leave a checkpoint and a `run.json` as a training does, then do what `app` does."""
    from hydra.core.hydra_config import HydraConfig

    run = Path(HydraConfig.get().runtime.output_dir)
    others = sorted(path.parent.name for path in STUDY.glob("*/checkpoints"))
    with recorded(record.begin(run, [], None)) as facts:
        (run / "checkpoints").mkdir()
        (run / "checkpoints" / "best.ckpt").write_text("weights")
        facts.update(checkpoint="checkpoints/best.ckpt", others=others)
        return app.app.__wrapped__(config)


def with_checkpoints() -> list[str]:
    """The runs that have their checkpoints; what each run.json says of them must be so."""
    found = []
    for path in sorted(STUDY.rglob("run.json")):
        facts = json.loads(path.read_text())
        is_there = (path.parent / "checkpoints" / "best.ckpt").is_file()
        assert facts["checkpoint"] == ("checkpoints/best.ckpt" if is_there else None)
        assert facts.get("checkpoints_removed", False) is not is_there
        if is_there:
            found.append(path.parent.relative_to(STUDY).as_posix())
    return found


@pytest.mark.slow
def test_the_best_keep_their_checkpoints(sweep: Sweep) -> None:
    assert sweep("x=3,1,2,4", ONE_BY_ONE, KEEP % 2, task=trains) == 0
    assert with_checkpoints() == ["1", "2"]
    assert sorted(path.name for path in (STUDY / "0").iterdir()) == [
        ".hydra",
        ".outcome.json",
        "output.log",
        "run.json",
    ]


@pytest.mark.slow
def test_what_is_more_is_better_where_the_objective_says_so(sweep: Sweep) -> None:
    sweep("x=3,1,2,4", ONE_BY_ONE, "hydra.sweeper.direction=maximize", KEEP % 2, task=trains)
    assert with_checkpoints() == ["0", "3"]


def test_null_keeps_all(sweep: Sweep) -> None:
    sweep("x=3,1,2", KEEP % "null", task=trains)
    assert with_checkpoints() == ["0", "1", "2"]


@pytest.mark.slow
def test_the_disk_never_holds_more_than_it_must(sweep: Sweep) -> None:
    sweep("x=4,3,2,1", ONE_BY_ONE, KEEP % 1, task=trains)
    seen = [json.loads((STUDY / str(number) / "run.json").read_text())["others"] for number in range(4)]
    assert seen == [[], ["0"], ["1"], ["2"]]


@pytest.mark.slow
def test_of_equals_the_earlier_is_kept(sweep: Sweep) -> None:
    sweep("y=1,2,3,4", ONE_BY_ONE, KEEP % 2, task=trains)
    assert with_checkpoints() == ["0", "1"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["raises", "sigkill", "hangs"])
def test_a_trial_that_came_to_a_bad_end_keeps_its_checkpoints(sweep: Sweep, how: str) -> None:
    limits = ("hydra.sweeper.retries=0", "hydra.sweeper.trial_timeout=3")
    sweep("x=1,2,3", ONE_BY_ONE, f"how={how}", "only=2", *limits, KEEP % 1, task=trains)
    assert states() == ["COMPLETE", "FAIL", "COMPLETE"]
    assert with_checkpoints() == ["0", "1"]


@pytest.mark.slow
def test_a_pruned_trial_loses_its_checkpoints(sweep: Sweep) -> None:
    pruner = ("hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.upper=2.5", "steps=2")
    sweep("x=1,2,3", ONE_BY_ONE, *pruner, KEEP % 2, task=trains)
    assert states() == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert with_checkpoints() == ["0", "1"]


@pytest.mark.slow
def test_trials_of_earlier_commands_are_judged_before_the_next_one_starts(sweep: Sweep) -> None:
    search = ("x=interval(0,1)", "hydra/sweeper/sampler=random", ONE_BY_ONE)
    sweep(*search, "hydra.sweeper.n_trials=3", task=trains)
    sweep(*search, "hydra.sweeper.n_trials=4", KEEP % 1, task=trains)
    assert len(json.loads((STUDY / "3" / "run.json").read_text())["others"]) == 1
    assert len(with_checkpoints()) == 1


@pytest.mark.slow
def test_a_sweep_that_is_over_removes_what_a_smaller_number_asks_for(sweep: Sweep) -> None:
    sweep("x=1,2,3", ONE_BY_ONE, task=trains)
    sweep("x=1,2,3", ONE_BY_ONE, KEEP % 2, task=trains)
    assert with_checkpoints() == ["0", "1"]


@pytest.mark.slow
def test_the_repeats_of_a_trial_count_as_one(sweep: Sweep) -> None:
    sweep("x=3,1,2", ONE_BY_ONE, "hydra.sweeper.repeats=2", KEEP % 2, task=trains)
    assert with_checkpoints() == ["1/0", "1/1", "2/0", "2/1"]


@pytest.mark.slow
@pytest.mark.parametrize(("directions", "kept"), [("minimize,minimize", ["0", "1", "2"]), ("minimize,maximize", ["0"])])
def test_what_no_other_trial_beats_is_kept(sweep: Sweep, directions: str, kept: list[str]) -> None:
    two = ("objectives=2", f"hydra.sweeper.direction=[{directions}]")
    sweep("x=1,2,3", ONE_BY_ONE, *two, KEEP % 1, task=trains)
    assert with_checkpoints() == kept


@pytest.mark.slow
def test_a_trial_that_breaks_a_constraint_is_behind_all_others(sweep: Sweep) -> None:
    sweep("x=3,1,2", ONE_BY_ONE, "limit=2", "hydra.sweeper.direction=maximize", KEEP % 1, task=trains)
    assert with_checkpoints() == ["2"]


@pytest.mark.slow
def test_only_folders_of_the_sweep_itself_are_touched(sweep: Sweep, tmp_path: Path) -> None:
    sweep("x=range(6)", ONE_BY_ONE, task=trains)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(STUDY / "1" / "checkpoints", elsewhere / "checkpoints")
    (STUDY / "1" / "checkpoints").symlink_to(elsewhere / "checkpoints")
    shutil.move(STUDY / "2", elsewhere / "2")
    (STUDY / "2").symlink_to(elsewhere / "2")
    shutil.rmtree(STUDY / "3")
    path = STUDY / "4" / "run.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "process": {**facts["process"], "host": "another machine"}}))
    assert sweep("x=range(6)", ONE_BY_ONE, KEEP % 1, task=trains) == 0
    kept = [number for number in range(6) if (STUDY / str(number) / "checkpoints" / "best.ckpt").is_file()]
    assert kept == [0, 1, 2, 4]


@pytest.mark.parametrize(("silence", "is_of_trial"), [(25.0, True), (0.0, False)])
def test_a_run_on_a_node_of_a_cluster_is_its_trial_s(folder: Path, silence: float, is_of_trial: bool) -> None:
    run = folder / "0"
    run.mkdir()
    with recorded(record.begin(run, [], None)):
        pass
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**facts, "process": {**facts["process"], "host": "node 7"}}))
    lease = {"host": "the controller's", "folder": str(folder), "silence": silence}
    trial = create_trial(value=1.0, user_attrs={"lease": lease})
    sweep: Any = SimpleNamespace(folder=folder, folder_of=lambda trial: run)
    assert list(top_checkpoints._runs(sweep, trial)) == ([run] if is_of_trial else [])


@pytest.mark.slow
def test_a_run_that_somebody_went_on_with_keeps_its_checkpoints(sweep: Sweep) -> None:
    sweep("x=1,2,3", ONE_BY_ONE, task=trains)
    with recorded(record.begin_again(STUDY / "1", [])):
        pass
    sweep("x=1,2,3", ONE_BY_ONE, KEEP % 1, task=trains)
    assert with_checkpoints() == ["0", "1"]


@pytest.mark.slow
def test_other_folders_of_a_run_stay(sweep: Sweep) -> None:
    sweep("x=1,2", ONE_BY_ONE, task=trains)
    (STUDY / "1" / "eval").mkdir()
    sweep("x=1,2", ONE_BY_ONE, KEEP % 1, task=trains)
    assert (STUDY / "1" / "eval").is_dir()


@pytest.mark.parametrize("keep", [0, -1, True, 1.5, "2"])
def test_a_number_that_cannot_be_is_refused(keep: Any) -> None:
    with pytest.raises(UserError, match="must be a whole number from 1, or null"):
        TopCheckpoints(keep)


def test_it_needs_neither_torch_nor_lightning() -> None:
    program = "import sys, sweeplab.training.top_checkpoints; assert not {'torch', 'lightning'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
def test_a_search_of_train_py_keeps_the_best_and_says_what_became_of_the_others(
    command: Command, tmp_path: Path
) -> None:
    keep = "hydra.sweeper.listeners.checkpoints.keep=2"
    search = small("sweep=random", "model=linear", "study=study", "hydra.sweeper.n_trials=4", keep, "test=false")
    command("train.py", "-m", *search)
    kept = with_checkpoints()
    facts = {path.parent.name: json.loads(path.read_text()) for path in STUDY.glob("*/run.json")}
    by_value = sorted(facts, key=lambda number: (-facts[number]["objective"]["value"], int(number)))
    assert kept == sorted(by_value[:2])
    assert "test/acc" in command("eval.py", f"run=multirun/study/{by_value[0]}").stdout
    for words in (("eval.py", "run="), ("train.py", "resume="), ("train.py", "trainer.max_epochs=4", "resume=")):
        done = command(*words[:-1], f"{words[-1]}multirun/study/{by_value[-1]}", check=False)
        assert done.returncode == 1
        assert "removed its checkpoints, since others were better" in done.stderr
        assert "checkpoints.keep=null keeps all" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
