from pathlib import Path
from typing import Any

from sweeplab.records.columns import varying
from tests.sweeplab.records.made_runs import make_run


def varied(folder: Path, *runs: dict[str, Any], **facts: Any) -> list[str]:
    return varying([make_run(folder / str(number), run, **facts) for number, run in enumerate(runs)])


def test_only_what_differs_tells_runs_apart(tmp_path: Path) -> None:
    assert varied(tmp_path, {"seed": 0, "lr": 0.1}, {"seed": 1, "lr": 0.1}) == ["seed"]


def test_one_and_one_point_zero_are_the_same_but_true_is_not_one(tmp_path: Path) -> None:
    assert varied(tmp_path / "a", {"x": 1}, {"x": 1.0}) == []
    assert varied(tmp_path / "b", {"x": 1}, {"x": True}) == ["x"]


def test_what_only_one_model_has_does_not_tell_runs_apart_that_the_model_does(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / "0", {"model": {"_target_": "CNN", "channels": 8}}, choices={"model": "cnn"}),
        make_run(tmp_path / "1", {"model": {"_target_": "MLP", "width": 16}}, choices={"model": "mlp"}),
    ]
    assert varying(runs) == ["model"]
    runs.append(make_run(tmp_path / "2", {"model": {"_target_": "MLP", "width": 32}}, choices={"model": "mlp"}))
    assert varying(runs) == ["model", "model.width"]


def test_a_key_that_some_runs_lack_tells_them_apart(tmp_path: Path) -> None:
    assert varied(tmp_path, {"trainer": {"max_epochs": 3}}, {"trainer": {"max_epochs": 3, "clip": 1.0}}) == [
        "trainer.clip"
    ]


def test_what_follows_from_another_key_is_left_out(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / str(seed), {"seed": seed}, derived={"split": "seed"}) for seed in range(2)]
    assert varying(runs) == ["seed"]
    runs.append(make_run(tmp_path / "own", {"seed": 1, "split": 7}))
    assert varying(runs) == ["seed", "split"]


def test_the_folder_of_a_run_is_no_difference(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / str(n), {"callbacks": {"best": {"dirpath": f"{tmp_path / str(n)}/checkpoints"}}})
        for n in range(2)
    ]
    assert varying(runs) == []


def test_searched_keys_come_first_and_callbacks_last(tmp_path: Path) -> None:
    runs = [
        make_run(
            tmp_path / str(n),
            {"callbacks": {"patience": n}, "data": {"size": n}, "lr": 0.1 * n},
            trial={"study": "s", "number": n, "repeat": 0, "params": {"lr": 0.1 * n}},
        )
        for n in range(2)
    ]
    assert varying(runs) == ["lr", "data.size", "callbacks.patience"]
