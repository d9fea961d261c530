from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wandb_server import WandbServer


@pytest.fixture
def wandb_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    """A W&B server that this process and its children find and have a key for; whether to use it is left to them."""
    home = tmp_path / "home"
    home.mkdir()
    with WandbServer() as server:
        for name, value in {**server.env, "HOME": str(home)}.items():
            monkeypatch.setenv(name, value)
        yield server
