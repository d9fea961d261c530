from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from lightning.pytorch import LightningModule

from sweeplab.errors import UserError
from sweeplab.records.ending import TrialPruned
from sweeplab.records.record import read
from sweeplab.sweep.trial import Trial, enter
from sweeplab.tracking.wandb_run import WandbRun
from sweeplab.training.loggers import closing_loggers
from tests.conftest import Compose
from tests.training import resume, run
from tests.wandb_log import offline_runs, records, summary

TINY = ("model=linear", "trainer.max_epochs=2", "logger=wandb")


def only_run(folder: Path) -> Path:
    (found,) = offline_runs(folder)
    return found


@pytest.mark.slow
def test_a_training_is_one_finished_run_that_tells_everything(configured: Compose) -> None:
    config = configured(
        *TINY, "tags=[b,3]", "logger.wandb.tags=[a,b]", "logger.wandb.group=g", "logger.wandb.notes=why"
    )
    objective = run(config)
    folder = Path(config.folder)
    told = summary(only_run(folder))
    assert (told["state"], told["exit_code"]) == ("finished", 0)
    assert told["tags"] == ["a", "b", "3"]
    assert told["config"]["optimizer"]["lr"] == 0.001  # nested, as it was composed
    assert "${" not in str(told["config"])
    assert told["summary"]["objective"] == pytest.approx(objective)
    assert told["summary"]["best/val/acc"] == pytest.approx(objective)
    assert told["summary"]["test/acc"] == pytest.approx(read(folder)["metrics"]["test/acc"])
    assert read(folder)["wandb"]["id"] in only_run(folder).name
    assert (read(folder)["wandb"]["mode"], read(folder)["wandb"]["kept"]) == ("offline", "disk")
    assert told["summary"]["status"] == "complete"
    assert "optuna/state" not in told["summary"]
    assert told["config"]["command"] == read(folder)["command"]


@pytest.mark.slow
def test_a_training_that_fails_is_a_failed_run(configured: Compose) -> None:
    config = configured(
        *TINY, "model=mlp", "optimizer=sgd", "optimizer.lr=1e30", "objective={metric: val/loss, mode: min}"
    )
    with pytest.raises(UserError, match="the loss of batch 2 was nan"):
        run(config)
    told = summary(only_run(Path(config.folder)))
    assert (told["state"], told["exit_code"]) == ("failed", 1)
    assert told["summary"]["status"] == "failed"
    assert "the loss of batch 2 was nan" in told["summary"]["reason"]


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[None]:
    """Make this process that of a trial which is pruned behind its first epoch."""
    params = {"optimizer.lr": 3e-4, "model.width": 8, "seed": 1}
    enter(
        Trial(
            "digits",
            12,
            params,
            command="python train.py seed=1",
            prunes=True,
            id="digits-abc-0012",
            home=tmp_path,
            searched=("optimizer.lr", "scheduler.gamma", *params),
            _report=lambda value, step: step == 1,
        )
    )
    yield
    enter(None)


@pytest.mark.slow
@pytest.mark.usefixtures("trial")
def test_a_pruned_training_is_a_finished_run_that_says_so(configured: Compose, tmp_path: Path) -> None:
    config = configured(*TINY, "logger.wandb.tags=[mine]")
    with pytest.raises(TrialPruned):
        run(config)
    told = summary(only_run(tmp_path))
    facts = read(Path(config.folder))
    assert (told["state"], told["exit_code"]) == ("finished", 0)
    assert told["tags"] == ["mine", "pruned"]
    assert (told["summary"]["status"], told["summary"]["optuna/state"]) == ("pruned", "PRUNED")
    assert told["summary"]["objective"] == pytest.approx(facts["objective"]["value"])
    assert told["summary"]["best/val/acc"] == pytest.approx(facts["best"]["val/acc"])


@pytest.mark.slow
@pytest.mark.usefixtures("trial")
@pytest.mark.parametrize(
    ("more", "named"),
    [
        ([], ("digits", "linear #12 lr=3e-4 width=8 seed=1", "trial")),
        (
            ["logger.wandb.group=g", "logger.wandb.name=n", "logger.wandb.job_type=j"],
            ("g", "n #12 lr=3e-4 width=8 seed=1", "j"),
        ),
    ],
    ids=["by itself", "by the user"],
)
def test_the_run_of_a_trial_is_named_after_it(
    configured: Compose, more: list[str], named: tuple[str, str, str], tmp_path: Path
) -> None:
    config = configured(*TINY, *more)
    with pytest.raises(TrialPruned):
        run(config)
    (first, *_) = records(only_run(tmp_path), "run")
    assert (first["run_group"], first["display_name"], first["job_type"]) == named


@pytest.mark.usefixtures("trial")
def test_run_and_folder_of_a_trial_know_each_other(configured: Compose, tmp_path: Path) -> None:
    config = configured(*TINY)
    with pytest.raises(TrialPruned):
        run(config)
    told, facts = summary(only_run(tmp_path))["config"], read(Path(config.folder))["wandb"]
    assert (told["folder"], told["command"]) == (config.folder, "python train.py seed=1")
    assert (facts["id"], facts["kept"]) == ("digits-abc-0012", "disk")
    assert (Path(config.folder) / facts["directory"]).resolve() == only_run(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("trial")
def test_parameters_number_and_study_are_short_columns(configured: Compose, tmp_path: Path) -> None:
    with pytest.raises(TrialPruned):
        run(configured(*TINY))
    columns = summary(only_run(tmp_path))["config"]["sweep"]
    assert columns == {
        "study": "digits",
        "trial": 12,
        "repeat": 0,
        "point": "lr=0.0003 width=8",  # without the seed: what differs in nothing else is averaged
        "lr": 0.0003,
        "width": 8,
        "seed": 1,
    }


@pytest.mark.slow
def test_further_objectives_are_numbers_of_the_summary(configured: Compose) -> None:
    config = configured(*TINY, "objective.also=[{metric: val/loss, mode: min}, {metric: model/parameters, mode: min}]")
    objective, loss, parameters = run(config)  # type: ignore[misc]  # several objectives are a list
    told = summary(only_run(Path(config.folder)))["summary"]
    assert told["objective"] == pytest.approx(objective)
    assert told["objective/val/loss"] == pytest.approx(loss)
    assert told["objective/model/parameters"] == parameters == 650


@pytest.mark.slow
def test_an_interrupted_training_is_a_failed_run_and_its_id_is_taken_up_again(configured: Compose) -> None:
    stop = "+callbacks.stop={_target_: tests.sweeplab.training.test_exact_resume.CtrlC, step: 25}"
    config = configured(*TINY, stop)
    with pytest.raises(SystemExit):
        run(config)
    folder = Path(config.folder)
    first = only_run(folder)
    assert (summary(first)["state"], summary(first)["summary"]["status"]) == ("failed", "interrupted")
    resume(folder, ["~callbacks.stop"])
    second = next(found for found in offline_runs(folder) if found != first)
    assert second.name.rpartition("-")[2] == first.name.rpartition("-")[2]
    assert summary(second)["state"] == "finished"


@pytest.mark.slow
def test_a_run_that_nobody_ended_does_not_leak_into_the_next(configured: Compose, tmp_path: Path) -> None:
    left = wandb.init(mode="offline", dir=tmp_path, project="left", config={"mine": 1})
    left.log({"left": 1})
    config = configured(*TINY)
    run(config)
    told = summary(only_run(Path(config.folder)))
    assert "mine" not in told["config"]
    assert "left" not in told["summary"]
    (abandoned,) = (found for found in offline_runs(tmp_path) if left.id in found.name)
    assert summary(abandoned)["state"] == "failed"


@pytest.mark.slow
def test_the_best_checkpoint_is_the_artifact_and_the_last_one_is_not(configured: Compose) -> None:
    config = configured(*TINY, "logger.wandb.log_model=true", "logger.wandb.checkpoint_name=mine")
    run(config)
    artifacts = records(only_run(Path(config.folder)), "artifact")
    models = [artifact for artifact in artifacts if artifact["type"] == "model"]
    assert [artifact["name"] for artifact in models] == ["mine"]
    assert "best" in models[0]["aliases"]


@pytest.mark.slow
def test_watch_records_gradients(configured: Compose) -> None:
    config = configured(*TINY, "logger.wandb.watch=gradients", "trainer.max_epochs=8")
    run(config)
    keys = {key for row in records(only_run(Path(config.folder)), "history") for key in row["item"]}
    assert any(key.startswith("gradients/") for key in keys), keys


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"watch": "weights"}, "did you mean|choose from all"),
        ({"log_model": "best"}, "write true, false or all"),
        ({"projekt": "p"}, "did you mean 'project'"),
    ],
)
def test_wrong_arguments_are_named(tmp_path: Path, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        WandbRun(save_dir=str(tmp_path), **arguments)


@pytest.mark.usefixtures("trial")
def test_trials_do_not_share_an_id(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="each trial has its own"):
        WandbRun(save_dir=str(tmp_path), id="mine")


@pytest.mark.slow
def test_one_tag_is_one_tag(configured: Compose) -> None:
    config = configured(*TINY, "logger.wandb.tags=abc")
    run(config)
    assert summary(only_run(Path(config.folder)))["tags"] == ["abc"]


def test_a_run_that_never_started_needs_no_end(tmp_path: Path) -> None:
    noted: list[Any] = []
    with closing_loggers([WandbRun(save_dir=str(tmp_path))], noted.append):
        pass
    assert noted == [{}]
    assert not offline_runs(tmp_path)


def test_a_model_is_handed_over_with_its_configuration(tmp_path: Path) -> None:
    logger = WandbRun(save_dir=str(tmp_path), offline=True, project="p", id="abc123")
    with closing_loggers([logger], lambda facts: None):
        config = {"a": {"b": 1}, "folder": str(tmp_path), "model": {"_target_": "nets.Net"}}
        where = logger.begin(config, LightningModule(), {"command": "python train.py"})["wandb"]
    assert (where["id"], where["project"], where["mode"], where["url"]) == ("abc123", "p", "offline", None)
    assert tmp_path / where["directory"] == only_run(tmp_path)
    assert summary(only_run(tmp_path))["config"]["a"] == {"b": 1}
