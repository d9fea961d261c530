"""The examples of lab: each trains by its experiment, and resumes exactly where it was cut."""

import json
import math
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from sweeplab.records.record import read
from tests.conftest import ROOT, Compose, equal_weights
from tests.foreign.test_resume import logged
from tests.training import evaluate, resume, run

pytestmark = pytest.mark.slow

SMALL = ("trainer=cpu", "trainer.max_epochs=2", "callbacks.progress=null", "callbacks.summary=null")
EXAMPLES = {
    "diabetes": (),
    "letters": ("data.characters=8000", "data.batch_size=8", "model.width=16", "callbacks.text.count=50"),
    "gan": ("data.batch_size=128", "callbacks.digits.every_n_epochs=1"),
}
STOP = "+callbacks.stop={_target_: tests.sweeplab.training.test_exact_resume.CtrlC, step: %d}"


@pytest.fixture
def example(tmp_path: Path) -> Compose:
    """Compose an example, small."""

    def compose_example(name: str, *overrides: str, folder: str = "run") -> DictConfig:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            where = (f"experiment={name}", f"folder={tmp_path / folder}", f"root={tmp_path}")
            return compose("train", [*where, *SMALL, *EXAMPLES[name], *overrides])

    return compose_example


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_trains_by_its_experiment(example: Compose, name: str) -> None:
    config = example(name)
    value = run(config)
    assert isinstance(value, float)
    assert math.isfinite(value)
    assert read(Path(config.folder))["objective"]["metric"] == config.objective.metric


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_that_was_cut_inside_an_epoch_leaves_no_trace_of_it(example: Compose, name: str) -> None:
    whole = example(name, "callbacks.last.every_n_steps=2", folder="whole")
    cut = example(name, "callbacks.last.every_n_steps=2", STOP % 6, folder="cut")
    run(whole)
    with pytest.raises(SystemExit):
        run(cut)
    first, second = Path(whole.folder), Path(cut.folder)
    resume(second, ["~callbacks.stop"])
    assert equal_weights(first / "checkpoints" / "last.ckpt", second / "checkpoints" / "last.ckpt")
    assert read(first)["metrics"] == read(second)["metrics"]
    assert sorted(map(str, logged(first))) == sorted(map(str, logged(second)))


@pytest.mark.parametrize("name", EXAMPLES)
def test_validation_of_an_example_gives_its_objective_again(example: Compose, name: str) -> None:
    config = example(name)
    value = run(config)
    found = json.loads(evaluate(Path(config.folder), "validate").read_text())
    assert found == {config.objective.metric: pytest.approx(value, rel=1e-5)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_predicts(example: Compose, name: str) -> None:
    config = example(name)
    run(config)
    assert evaluate(Path(config.folder), "predict").stem == "predictions"


def test_letters_writes_text(example: Compose, tmp_path: Path) -> None:
    run(example("letters"))
    text = (tmp_path / "run" / "samples" / "epoch-002.txt").read_text()
    assert text.startswith("The ")
    assert len(text) == len("The ") + 50 + len("\n")


def test_gan_draws_digits(example: Compose, tmp_path: Path) -> None:
    run(example("gan"))
    with Image.open(tmp_path / "run" / "samples" / "epoch-002.png") as picture:
        assert picture.size == (640, 640)
        assert len(picture.getcolors(10**6) or []) > 2
