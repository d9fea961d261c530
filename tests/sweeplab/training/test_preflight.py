"""What cannot be is told before a run has a folder."""

from pathlib import Path

import pytest

from sweeplab.errors import SetupError, UserError
from sweeplab.sweep.trial import Trial, enter
from tests.conftest import Command, Compose
from tests.foreign.conftest import CONF
from tests.training import run

MISTAKES = {
    "optimizer.lr=abc": "optimizer.lr='abc' is of the wrong type: torch.optim.Adam wants float or Tensor",
    "optimizer.weight_decay=[1]": r"optimizer.weight_decay=\[1\] is of the wrong type: torch.optim.Adam wants float",
    "+optimizer.betas=abc": "optimizer.betas='abc' is of the wrong type: torch.optim.Adam wants tuple",
    "+optimizer.momentm=0.9": "no argument 'optimizer.momentm'",
    "trainer.max_epochs=ten": "trainer.max_epochs='ten' is of the wrong type: .*Trainer wants int or null",
    "trainer.devices=abc": "trainer: `devices`",
    "trainer.accelerator=gpu": "trainer: No supported gpu backend found",
    "trainer.precision=12": "trainer.precision=12 is of the wrong type: .* wants 64 or 32 or 16",
    "+trainer.strategy=foo": "trainer: You selected an invalid strategy name",
    "+trainer.enable_checkpointing=false": "trainer.enable_checkpointing follows from callbacks",
    "model.width=x": "model.width='x' is of the wrong type: lab.models.mlp.MLP wants int",
    "task.metrics.acc.average=foo": "task.metrics.acc.average='foo' .* wants micro or macro",
    "callbacks.best.filename=3": "callbacks.best.filename=3 is of the wrong type",
    "+task.callbacks.mine._target_=lab.nothing.Mine": "task.callbacks.mine._target_=lab.nothing.Mine does not exist",
    "logger.csv.save_dir=3": "logger.csv.save_dir=3 is of the wrong type",
}


@pytest.mark.slow
@pytest.mark.parametrize(("override", "words"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_makes_no_folder(configured: Compose, override: str, words: str) -> None:
    config = configured("model=mlp", "logger=csv", override)
    with pytest.raises(UserError, match=words):
        run(config)
    assert not Path(config.folder).exists()


@pytest.mark.parametrize("override", ["data.val_fraction=7", "model.dropout=7", "optimizer.lr=-1"])
def test_a_mistake_that_only_building_shows_makes_no_run(configured: Compose, override: str) -> None:
    config = configured("model=mlp", override)
    with pytest.raises(UserError):
        run(config)
    assert not [path for path in Path(config.folder).rglob("*") if path.is_file()]


@pytest.mark.parametrize(("params", "kind"), [({"seed": 1}, SetupError), ({"optimizer.lr": "abc"}, UserError)])
def test_trials_share_a_mistake_that_is_not_searched(
    configured: Compose, params: dict[str, object], kind: type[UserError]
) -> None:
    enter(Trial("study", 0, params))
    try:
        with pytest.raises(UserError) as told:
            run(configured("optimizer.lr=abc"))
    finally:
        enter(None)
    assert type(told.value) is kind


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["optimizer.lr=abc"], "Error: optimizer.lr='abc' is of the wrong type"),
        (["trainer.accelerator=gpu"], "Error: trainer: No supported gpu backend found"),
        (
            ["seed=${oc.env:NOBODY_SET_THIS}"],
            "Error: seed cannot be resolved: Environment variable 'NOBODY_SET_THIS'",
        ),
        (["model=template", "data=blobs", "model.optimizer.lr=abc"], "model.optimizer.lr='abc' is of the wrong type"),
        (["model=kinds", "data=blobs", "model.optim_kwargs.lr=abc"], "model.optim_kwargs.lr=abc is not a number"),
        (["model=kinds", "data=blobs", "model.untyped=abc"], "model.untyped=abc is not true or false"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_the_command_line_leaves_nothing_behind(
    command: Command, tmp_path: Path, words: list[str], sentence: str
) -> None:
    more = ["--config-dir", str(CONF), "hydra.run.dir=run", "objective.metric=val/acc", "objective.mode=max"]
    done = command("train.py", *more, "trainer=cpu", *words, check=False, PYTHONPATH=str(CONF.parents[2]))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert sentence in done.stderr
    assert not (tmp_path / "run").exists()
