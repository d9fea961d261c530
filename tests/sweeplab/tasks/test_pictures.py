from pathlib import Path

import pytest

from tests.conftest import Compose
from tests.training import run


@pytest.mark.slow
def test_predictions_are_drawn(configured: Compose) -> None:
    from PIL import Image

    for data in ("digits", "mnist1d"):
        config = configured(f"data={data}", folder=data)
        config.task.callbacks.samples = {
            "_target_": "sweeplab.tasks.Samples",
            "folder": f"{config.folder}/samples",
            "count": 5,
        }
        run(config)
        (path,) = (Path(config.folder) / "samples").iterdir()
        with Image.open(path) as picture:
            assert picture.size == (768, 110)
            assert len(picture.getcolors(10**6) or []) > 2, "an empty picture"
