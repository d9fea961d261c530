"""What resume finds before it trains leaves the folder bit for bit as it was; so do damaged files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sweeplab.errors import UserError
from sweeplab.records.record import Status, read
from sweeplab.training.checkpoint_file import load_checkpoint
from sweeplab.training.model import load_model
from tests.conftest import Compose
from tests.sweeplab.training.conftest import content
from tests.training import evaluate, resume, run

LAST, BEST = Path("checkpoints", "last.ckpt"), Path("checkpoints", "best.ckpt")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_a_weight(path: Path) -> None:
    """Change a bit of the largest tensor, which torch alone would not see."""
    largest = max(torch.load(path, weights_only=True)["state_dict"].values(), key=torch.Tensor.numel)
    _flip(path, path.read_bytes().index(np.asarray(largest).tobytes()))


def flip_the_pickle(path: Path) -> None:
    _flip(path, path.read_bytes().index(b"state_dict"))


def flip_the_directory(path: Path) -> None:
    _flip(path, path.stat().st_size - 60)


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)


def text(path: Path) -> None:
    path.write_text("weights\n" * 100)


def arrays(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, x=np.zeros(3))


def a_list(path: Path) -> None:
    torch.save([1, 2], path)


DAMAGES = (truncate, empty, flip_a_weight, flip_the_pickle, flip_the_directory, text, arrays, a_list)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_checkpoint_is_named_and_nothing_else_is_touched(
    complete: Path, tmp_path: Path, configured: Compose, damage: Callable[[Path], None]
) -> None:
    for name in (LAST, BEST):
        damage(complete / name)
    before = content(complete)
    looks: list[tuple[Path, Callable[[], object]]] = [
        (LAST, lambda: resume(complete, ["trainer.max_epochs=3"])),
        (BEST, lambda: evaluate(complete, "validate")),
        (BEST, lambda: load_model(complete)),
        (BEST, lambda: run(configured("model=linear", f"init_from={complete}", folder="new"))),
    ]
    for name, look in looks:
        with pytest.raises(UserError, match=r"is (damaged|not a checkpoint|no checkpoint)") as told:
            look()
        assert str(complete / name) in str(told.value)
        assert "\n" not in str(told.value)
        assert content(complete) == before
    assert read(complete)["status"] == Status.COMPLETE
    assert not (tmp_path / "new" / "run.json").exists()


def weights_alone(path: Path) -> None:
    kept = torch.load(path, weights_only=True)
    torch.save({"state_dict": kept["state_dict"]}, path)


def of_another_model(path: Path) -> None:
    kept = torch.load(path, weights_only=True)
    kept["state_dict"] = {"other.weight": torch.zeros(2)}
    torch.save(kept, path)


def of_another_optimizer(path: Path) -> None:
    kept = torch.load(path, weights_only=True)
    kept["optimizer_states"][0]["param_groups"] *= 2
    torch.save(kept, path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (weights_alone, "last.ckpt has no loops, so no run can be resumed from it"),
        (of_another_model, "last.ckpt are not those of the model: Missing key.*network.1.weight"),
        (of_another_optimizer, "last.ckpt .* different number of parameter groups"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_checkpoint_of_another_training_is_refused(
    complete: Path, change: Callable[[Path], None], words: str
) -> None:
    change(complete / LAST)
    before = content(complete)
    with pytest.raises(UserError, match=words) as told:
        resume(complete, ["trainer.max_epochs=3"])
    assert "\n" not in str(told.value)
    assert content(complete) == before


def test_an_old_file_of_torch_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.ckpt"
    torch.save({"state_dict": {"w": torch.ones(2)}}, path, _use_new_zipfile_serialization=False)
    assert load_checkpoint(path)["state_dict"]["w"].sum() == 2
