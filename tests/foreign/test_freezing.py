"""Weights that match a pattern stay what they were, with the statistics beside them, in any module."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from sweeplab.errors import UserError
from sweeplab.records.record import read
from sweeplab.training.check import check
from tests.conftest import Compose
from tests.training import resume, run


def state(folder: str | Path, name: str = "last") -> dict[str, Tensor]:
    weights: dict[str, Tensor] = torch.load(Path(folder, "checkpoints", f"{name}.ckpt"), weights_only=True)[
        "state_dict"
    ]
    return weights


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, value in after.items() if not torch.equal(value, before[name])}


def test_what_is_frozen_stays_as_in_the_run_it_was_taken_from(foreign: Compose) -> None:
    source = foreign("tables", "trainer.max_epochs=1", folder="source")
    run(source)
    config = foreign("tables", f"init_from={source.folder}", "freeze=[net.0.*]", "trainer.max_epochs=2")
    run(config)
    assert changed(state(source.folder, "best"), state(config.folder)) == {"net.3.weight", "net.3.bias"}
    facts = read(Path(config.folder))
    assert facts["frozen"] == ["net.0.weight", "net.0.bias"]
    assert facts["best"]["model/parameters"] == 17, "of the head alone"


@pytest.mark.slow
@pytest.mark.parametrize("patterns", ["net.model.0.*,net.model.1.*", "net.model.[01].*"])
def test_statistics_of_what_is_frozen_stay_too(foreign: Compose, patterns: str) -> None:
    source = foreign("template", "trainer.max_epochs=1", folder="source")
    run(source)
    config = foreign("template", f"init_from={source.folder}", f"freeze=['{patterns}']".replace(",", "','"))
    run(config)
    names = changed(state(source.folder, "best"), state(config.folder))
    assert names
    assert not [name for name in names if name.startswith(("net.model.0.", "net.model.1."))]


@pytest.mark.slow
def test_statistics_follow_where_weights_alone_are_frozen(foreign: Compose) -> None:
    source = foreign("template", "trainer.max_epochs=1", folder="source")
    run(source)
    config = foreign("template", f"init_from={source.folder}", "freeze=[net.model.1.weight]")
    run(config)
    names = changed(state(source.folder, "best"), state(config.folder))
    assert {"net.model.1.running_mean", "net.model.1.bias"} <= names
    assert "net.model.1.weight" not in names


@pytest.mark.slow
def test_a_resumed_run_stays_frozen(configured: Compose) -> None:
    config = configured("freeze=[network.first.*]", "model.width=8")
    run(config)
    before = state(config.folder)
    resume(Path(config.folder), ["trainer.max_epochs=3"])
    assert not {name for name in changed(before, state(config.folder)) if name.startswith("network.first.")}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("nett.0.*", r"^freeze: nett\.0\.\* matches no weight of TableRegression; did you mean 'net\.0\.\*'\?$"),
        ("net", r"; did you mean 'net\.\*'\?$"),
        ("backbone.*", r"; choose from net\.\*\.$"),
        ("net.*", r"^freeze=\['net\.\*'\] leaves no weight of TableRegression to train\.$"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused(foreign: Compose, pattern: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(foreign("tables", f"freeze=['{pattern}']"))


@pytest.mark.slow
def test_a_loss_without_a_weight_to_train_is_told_in_a_sentence(foreign: Compose) -> None:
    with pytest.raises(
        UserError, match=r"^a loss depends on no weight that is trained; freeze=\.\.\. may leave too few"
    ):
        run(foreign("gan", "freeze=[generator.*]"))


def test_a_pattern_outside_a_list_is_refused(foreign: Compose) -> None:
    with pytest.raises(UserError, match=r"^freeze=net\.\* must be a list of patterns: freeze=\[encoder\.\*\]\.$"):
        check(foreign("tables", "freeze=net.*"))
