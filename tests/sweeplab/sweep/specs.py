"""The spec of a sweep of the tests' app, checked, but not run."""

from pathlib import Path
from unittest import mock

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from sweeplab.sweep.spec import SweepSpec
from sweeplab.sweep.study.search import Search
from tests.sweeplab.sweep.app import app
from tests.sweeplab.sweep.conftest import APP


def spec_of(*overrides: str, study: str = "study", conf: Path = APP / "conf") -> tuple[SweepSpec, Search]:
    """Return the spec and the search of a sweep, as a preview gets them."""
    GlobalHydra.instance().clear()
    engine = Hydra.create_main_hydra2("app", create_config_search_path(str(conf)))
    words = [*overrides, f"study='{study}'", "hydra.sweeper.preview=true"]
    try:
        with mock.patch("sweeplab.sweep.sweep.preview", return_value="") as preview:
            engine.multirun(config_name="config", task_function=app.app.__wrapped__, overrides=words)
    finally:
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None
    spec, search = preview.call_args.args
    return spec, search
