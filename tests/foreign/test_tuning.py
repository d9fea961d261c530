"""Lightning's finders search outside a terminal, and what they find is used, recorded and kept."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateFinder
from torch.utils.data import DataLoader

import sweeplab
from sweeplab.errors import UserError
from sweeplab.records.record import read
from sweeplab.sweep.trial import Trial, enter
from sweeplab.training import start
from tests.conftest import Compose, equal_weights
from tests.foreign.tables import Batch, TableRegression, Tables
from tests.foreign.test_exactness import assert_same
from tests.foreign.test_resume import STOP, attempt
from tests.foreign.trainings import two_stages
from tests.training import evaluate, resume, run

FINDER = ("callbacks=[default,lr_finder]", "callbacks.lr_finder.num_training_steps=40")
SIZES = "callbacks=[default,batch_size_finder]"
QUIET = ("callbacks.progress=null", "callbacks.summary=null", "trainer.max_epochs=2")
KEYS = {"tables": "model.lr", "template": "model.optimizer.lr", "letters": "model.lr", "autoencoder": "model.lr"}


class Rates(Callback):
    """Writes the learning rate of the first step."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 0:
            self.path.write_text(str(trainer.optimizers[0].param_groups[0]["lr"]))


class WithoutRate(TableRegression):
    """Keeps its learning rate where nobody can find it."""

    def __init__(self, width: int = 6, hidden: int = 16, lr: float = 1e-2) -> None:
        super().__init__(width, hidden)
        self.hparams.pop("lr")

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=1e-2)


class Sized(Tables):
    """Has a batch size that is no argument."""

    size = 16

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.train, self.size, shuffle=True)


def saved(folder: Path) -> Any:
    return yaml.safe_load((folder / "config.yaml").read_text())


@pytest.mark.parametrize("kind", KEYS)
def test_the_learning_rate_that_is_found_is_used_and_recorded(foreign: Compose, tmp_path: Path, kind: str) -> None:
    rates = f"+callbacks.rates={{_target_: {Rates.__module__}.Rates, path: {tmp_path / 'rate'}}}"
    config = foreign(kind, *FINDER, *QUIET, rates)
    run(config)
    folder = Path(config.folder)
    ((key, rate),) = read(folder)["tuned"].items()
    assert key == KEYS[kind]
    group, *parts = key.split(".")
    value = saved(folder)[group]
    for part in parts:
        value = value[part]
    assert value == rate
    if kind != "letters":  # whose schedule begins lower
        assert float((tmp_path / "rate").read_text()) == rate
    assert not list(folder.glob(".lr_find*"))


@pytest.mark.slow
def test_a_search_leaves_no_trace_in_the_numbers(configured: Compose) -> None:
    """A run that found a learning rate is that which was given it, to the last bit."""
    found = configured(*FINDER, *QUIET, "scheduler=onecycle", folder="found")
    run(found)
    rate = read(Path(found.folder))["tuned"]["optimizer.lr"]
    given = configured(f"optimizer.lr={rate}", *QUIET, "scheduler=onecycle", folder="given")
    run(given)
    assert_same(Path(found.folder), Path(given.folder))
    model: Any = sweeplab.load_model(found.folder)
    assert model.optimizer.keywords["lr"] == rate


@pytest.mark.slow
def test_a_resumed_run_does_not_search_again(foreign: Compose, caplog: pytest.LogCaptureFixture) -> None:
    config = foreign("tables", *FINDER, *QUIET)
    run(config)
    found = read(Path(config.folder))["tuned"]
    caplog.clear()
    resume(Path(config.folder), ["trainer.max_epochs=4"])
    assert "Found" not in caplog.text
    assert read(Path(config.folder))["tuned"] == found
    assert saved(Path(config.folder))["model"]["lr"] == found["model.lr"]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "size"), [("", 2048), ("tables", 256), ("template", 64)])
def test_the_batch_size_that_is_found_is_used_and_recorded(
    foreign: Compose, configured: Compose, kind: str, size: int
) -> None:
    config = foreign(kind, SIZES, *QUIET) if kind else configured(SIZES, *QUIET)
    run(config)
    folder = Path(config.folder)
    assert read(folder)["tuned"] == {"data.batch_size": size}
    assert saved(folder)["data"]["batch_size"] == size
    assert evaluate(folder, "test").is_file()  # which searches nothing


def test_a_module_whose_learning_rate_is_nowhere_is_named(foreign: Compose) -> None:
    config = foreign("tables", *FINDER, *QUIET, f"model._target_={WithoutRate.__module__}.WithoutRate")
    with pytest.raises(UserError, match=r"^LearningRateFinder: WithoutRate has no lr, .*attr_name=\.\.\.$"):
        run(config)


def test_too_few_steps_find_nothing(foreign: Compose) -> None:
    config = foreign("tables", *FINDER, *QUIET, "callbacks.lr_finder.num_training_steps=5")
    with pytest.raises(
        UserError, match=r"^LearningRateFinder: 5 steps are too few to find a learning rate; raise num_"
    ):
        run(config)


def test_a_sweep_does_not_search_what_a_finder_finds(foreign: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything is searched."""
    monkeypatch.setattr(LearningRateFinder, "lr_find", None)
    enter(Trial("study", 0, {"model.lr": 0.5}))
    try:
        with pytest.raises(UserError, match=r"^model\.lr is searched by the sweep and by a finder"):
            run(foreign("tables", *FINDER, *QUIET, "model.lr=0.5"))
    finally:
        enter(None)


@pytest.mark.parametrize("size", ["batch_size", pytest.param("size", marks=pytest.mark.slow)])
@pytest.mark.parametrize("is_trial", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_run_that_goes_on_has_what_its_finders_found(foreign: Compose, is_trial: bool, size: str) -> None:
    both = ("callbacks=[default,batch_size_finder,lr_finder]", *FINDER[1:], *QUIET, "callbacks.last.every_n_steps=1")
    sized = f"data._target_={Sized.__module__}.Sized" if size == "size" else "data.batch_size=8"
    of_size = (
        "++callbacks.batch_size_finder.max_val=32",
        f"++callbacks.batch_size_finder.batch_arg_name={size}",
        sized,
    )
    whole, cut = Path(foreign("tables").folder).with_name("whole"), Path(foreign("tables").folder).with_name("cut")
    run(foreign("tables", *both, *of_size, folder="whole"))
    try:
        if is_trial:
            attempt(0)
        with pytest.raises(SystemExit):
            run(foreign("tables", *both, *of_size, STOP % 7, folder="cut"))
        if is_trial:
            attempt(1)
            run(foreign("tables", *both, *of_size, folder="cut"))
        else:
            resume(cut, ["~callbacks.stop"])
    finally:
        enter(None)
    first, second = read(whole), read(cut)
    assert first["tuned"] == second["tuned"] == {f"data.{size}": 32, "model.lr": first["tuned"]["model.lr"]}
    assert (saved(whole)["data"], saved(whole)["model"]) == (saved(cut)["data"], saved(cut)["model"])
    assert saved(cut)["model"]["lr"] == second["tuned"]["model.lr"]
    assert equal_weights(whole / "checkpoints" / "last.ckpt", cut / "checkpoints" / "last.ckpt")
    last: Any = torch.load(cut / "checkpoints" / "last.ckpt", weights_only=True)
    assert (last["global_step"], last["optimizer_states"][0]["param_groups"][0]["lr"]) == (
        10,
        first["tuned"]["model.lr"],
    )


def test_a_search_writes_nothing_to_the_folder_of_the_run(foreign: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill would leave it there."""
    written, save = [], Trainer.save_checkpoint

    def noting(self: Trainer, filepath: Any, *args: Any, **more: Any) -> None:
        written.append(Path(filepath))
        save(self, filepath, *args, **more)

    monkeypatch.setattr(Trainer, "save_checkpoint", noting)
    config = foreign("tables", "callbacks=[default,batch_size_finder,lr_finder]", *FINDER[1:], *QUIET)
    run(config)
    of_searches = [path for path in written if path.name.startswith((".lr_find", ".scale_batch_size"))]
    assert len(of_searches) == 2
    assert not [path for path in of_searches if path.is_relative_to(config.folder)]


def test_what_each_stage_finds_is_in_the_record_and_the_first_in_the_configuration(foreign: Compose) -> None:
    config = foreign("tables", *FINDER, *QUIET, "callbacks.last.every_n_steps=1", STOP % 3)
    with pytest.raises(SystemExit):
        start.start(two_stages, config)
    folder = Path(config.folder)
    before = read(folder)["tuned"]
    assert list(before) == ["pretrain"]
    start.resume(two_stages, folder, ["~callbacks.stop"])
    tuned = read(folder)["tuned"]
    assert (list(tuned), tuned["pretrain"]) == (["pretrain", "head"], before["pretrain"])
    assert tuned["head"] != tuned["pretrain"]
    assert saved(folder)["model"]["lr"] == tuned["pretrain"]["model.lr"]
    last: Any = torch.load(folder / "checkpoints" / "head" / "last.ckpt", weights_only=True)
    assert last["optimizer_states"][0]["param_groups"][0]["lr"] == tuned["head"]["model.lr"]
