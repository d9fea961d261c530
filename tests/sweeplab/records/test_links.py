import shutil
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra.conf import HydraConf, RuntimeConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, InterpolationResolutionError

from sweeplab.errors import SetupError, UserError
from sweeplab.records.config import load, save
from sweeplab.records.links import kept, linked, links, plain, resolved
from tests.sweeplab.records.made_runs import make_run

CONFIG = {
    "width": 8,
    "model": {
        "width": "${width}",
        "in_shape": "${data:in_shape}",
        "layers": [{"size": "${data:num_classes}"}, 3],
        "title": "${data:names.short} of ${data:num_classes}",
    },
    "same": "${model.in_shape}",
}
LINKS = [
    ("model.in_shape", "in_shape"),
    ("model.layers.0.size", "num_classes"),
    ("model.title", "names.short"),
    ("model.title", "num_classes"),
]


class Data:
    """What a data module is to links: attributes and properties."""

    in_shape = (1, 8)
    num_classes = np.int64(3)
    names = SimpleNamespace(short="shapes")

    def __init__(self) -> None:
        self.vocabulary = {"a": 0, "b": 1}
        self.weights = torch.tensor([0.5, 0.25])
        self.many = np.zeros(10_001)
        self.tokenizer = object()

    @property
    def channels(self) -> int:
        return 1

    @property
    def scale(self) -> list[float]:
        raise UserError("the data has no training part to take its scale from.")


@pytest.fixture
def config() -> DictConfig:
    return OmegaConf.create(CONFIG)


def test_links_are_found_wherever_they_stand(config: DictConfig) -> None:
    assert list(links(config)) == LINKS
    assert list(links(CONFIG)) == LINKS
    assert next(links(config.model)) == ("in_shape", "in_shape")
    assert not list(links({"plain": "data", "other": "${width}", "number": 1, "none": None}))


def test_links_stay_as_they_are_until_there_is_data(config: DictConfig) -> None:
    found = resolved(config)
    assert found["model"]["width"] == 8  # as any other interpolation
    assert list(links(found))[:4] == LINKS
    with pytest.raises(InterpolationResolutionError, match="in_shape is an attribute of the data, which is not built"):
        _ = config.model.in_shape


def test_data_answers_all_links_at_once(config: DictConfig) -> None:
    found = linked(config, Data())
    assert OmegaConf.to_container(found, resolve=False) == {
        "width": 8,
        "model": {"width": 8, "in_shape": [1, 8], "layers": [{"size": 3}, 3], "title": "shapes of 3"},
        "same": [1, 8],
    }
    assert list(links(config)) == LINKS, "the configuration itself is as it was"
    with pytest.raises(InterpolationResolutionError):
        _ = config.model.in_shape


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("vocabulary", {"a": 0, "b": 1}),
        ("weights", [0.5, 0.25]),
        ("num_classes", 3),
        ("channels", 1),
        ("names.short", "shapes"),
    ],
)
def test_what_a_configuration_can_hold_is_plain_data(attribute: str, value: object) -> None:
    found = resolved(linked(OmegaConf.create({"key": f"${{data:{attribute}}}"}), Data()))["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("chanels", r"model\.x=\$\{data:chanels\}: Data has no attribute 'chanels' .* did you mean 'channels'"),
        ("names.long", "no attribute 'names.long'"),
        ("tokenizer", r"model\.x=\$\{data:tokenizer\} is a object; a configuration holds numbers"),
        ("many", "is a ndarray; a configuration holds numbers"),
    ],
)
def test_what_cannot_be_linked_is_named_with_its_key(attribute: str, words: str) -> None:
    with pytest.raises(SetupError, match=words):
        linked(OmegaConf.create({"model": {"x": f"${{data:{attribute}}}"}}), Data())


def test_what_the_data_says_against_a_link_is_passed_on() -> None:
    with pytest.raises(UserError, match="no training part to take its scale from"):
        linked(OmegaConf.create({"scale": "${data:scale}"}), Data())


def test_other_mistakes_are_not_taken_for_links() -> None:
    with pytest.raises(InterpolationKeyError):
        resolved(OmegaConf.create({"a": "${nowhere}", "b": "${data:in_shape}"}))


def test_objects_are_not_plain_data() -> None:
    with pytest.raises(TypeError, match="a PosixPath"):
        plain([Path("a")])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that asked its data for a number, which was 3."""
    folder = make_run(tmp_path / "run", {"data": {"size": 3}, "model": {"classes": "${data:size}"}}).folder
    composed: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text())
    save(linked(OmegaConf.create(composed), SimpleNamespace(size=3)), folder, keep=False)
    return folder


def test_a_run_keeps_what_its_data_said_and_one_trained_again_asks_anew(run: Path) -> None:
    assert "${" not in (run / "config.yaml").read_text()
    saved = load(run)
    assert (saved.model.classes, list(links(saved))) == (3, [])
    again = load(run, anew=True)
    assert list(links(again)) == [("model.classes", "size")]
    assert linked(again, SimpleNamespace(size=5)).model.classes == 5
    shutil.rmtree(run / ".hydra")  # where the link stands
    assert load(run, anew=True).model.classes == 3


def test_what_the_job_knows_stands_inside_of_what_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", "/secret")
    config = OmegaConf.create(
        {
            "path": "${oc.env:DATA,${hydra:runtime.cwd}/data}",
            "day": "${oc.env:DATA,'on ${now:%Y}'}",
            "plain": "${hydra:runtime.cwd}",
        }
    )
    hydra = OmegaConf.structured(HydraConf(runtime=RuntimeConf(cwd="/home/me and you", version="1.3")))
    HydraConfig.instance().set_config(OmegaConf.create({"hydra": hydra}))
    setup_globals()
    found = kept(config)
    assert found == {
        "path": "${oc.env:DATA,/home/me and you/data}",
        "day": f"${{oc.env:DATA,'on {datetime.now():%Y}'}}",
        "plain": "/home/me and you",
    }


def test_the_time_inside_is_that_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ME", "me")
    setup_globals()
    config = OmegaConf.create({"now": "${now:%S.%f}", "mine": "${oc.env:ME}-${now:%S.%f}"})
    found = kept(config)
    assert found["mine"] == f"${{oc.env:ME}}-{found['now']}"
