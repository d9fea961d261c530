"""Modules that somebody else brings, each with his data: two Python files and two YAML files of his own."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from tests.conftest import ROOT, Compose

CONF = ROOT / "tests" / "foreign" / "conf"
SMALL = ("trainer=cpu", "trainer.max_epochs=3", "callbacks.progress=null", "callbacks.summary=null")
CHOICES = {
    "tables": ("model=tables", "data=tables", "objective.metric=val_rmse", "objective.mode=min"),
    "gan": ("model=their_gan", "data=ring", "test=false", "objective.metric=off_the_ring", "objective.mode=min"),
    "letters": ("model=their_letters", "data=their_topics", "objective.metric=perplexity", "objective.mode=min"),
    "autoencoder": (
        "model=autoencoder",
        "data=waves",
        "test=false",
        "objective.metric=reconstruction/dataloader_idx_0",
        "objective.mode=min",
    ),
    "silent": (
        "model=silent",
        "data=waves",
        "test=false",
        "objective.metric=reconstruction/train",
        "objective.mode=min",
    ),
    "template": ("model=template", "data=blobs", "objective.metric=val/acc", "objective.mode=max"),
}
FEW = ("tables", "letters")  # that `make test` takes; `make test-all` takes all


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most modules to the slow tests: a property is one, whatever the module."""
    for item in items:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        others = [value for value in values if isinstance(value, str) and value in CHOICES and value not in FEW]
        if others and item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def foreign(tmp_path: Path) -> Compose:
    """Compose the configuration of a foreign module, small, writing below the test's own folder."""

    def compose_foreign(name: str, *overrides: str, folder: str = "run") -> object:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            where = [f"hydra.searchpath=[file://{CONF}]", f"folder={tmp_path / folder}", f"root={tmp_path}"]
            return compose("train", [*SMALL, *CHOICES[name], *where, *overrides])

    return compose_foreign  # type: ignore[return-value]  # a DictConfig, as compose gives it
