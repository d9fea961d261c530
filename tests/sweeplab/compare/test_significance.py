from pathlib import Path

import pytest

from sweeplab.compare.comparison import Comparison, compare
from sweeplab.compare.significance import once_each, significance
from tests.sweeplab.records.made_runs import make_run


def compared(folder: Path, values: dict[str, dict[int, float]], mode: str = "max") -> Comparison:
    runs = [
        make_run(
            folder / f"{model}-{seed}",
            {"seed": seed, "model": model},
            acc=acc,
            objective={"metric": "val/acc", "mode": mode, "value": acc},
        )
        for model, by_seed in values.items()
        for seed, acc in by_seed.items()
    ]
    return compare(runs)


def said(folder: Path, values: dict[str, dict[int, float]], mode: str = "max") -> str:
    comparison = compared(folder, values, mode)
    return significance(comparison.configurations, comparison.objective)


def test_a_difference_that_every_seed_shows_is_told(tmp_path: Path) -> None:
    values = {"a": {0: 0.90, 1: 0.80, 2: 0.70, 3: 0.85}, "b": {0: 0.88, 1: 0.779, 2: 0.681, 3: 0.83}}
    words = said(tmp_path, values)
    assert words.startswith("model=a is better than model=b: val/acc by 0.02 ")
    assert "paired over 4 seeds" in words


def test_the_same_values_without_common_seeds_are_not_distinguishable(tmp_path: Path) -> None:
    """Pairing takes out what the seeds have in common; without it the same numbers say nothing."""
    values = {"a": {0: 0.90, 1: 0.80, 2: 0.70, 3: 0.85}, "b": {4: 0.88, 5: 0.779, 6: 0.681, 7: 0.83}}
    words = said(tmp_path, values)
    assert words.startswith("Not distinguishable with 4 seeds")
    assert "Welch" in words


def test_chance_is_called_chance(tmp_path: Path) -> None:
    words = said(tmp_path, {"a": {0: 0.90, 1: 0.80, 2: 0.7}, "b": {0: 0.85, 1: 0.83, 2: 0.69}})
    assert words.startswith("Not distinguishable with 3 seeds: model=a and model=b.")
    assert "seeds would show it" in words


def test_one_seed_each_is_no_evidence(tmp_path: Path) -> None:
    assert "whether that is chance cannot be said" in said(tmp_path, {"a": {0: 0.9}, "b": {0: 0.1}})


@pytest.mark.parametrize("mode", ["min", "max"])
def test_better_follows_the_direction_of_the_objective(tmp_path: Path, mode: str) -> None:
    values = {"low": {0: 0.10, 1: 0.11, 2: 0.12}, "high": {0: 0.90, 1: 0.92, 2: 0.93}}
    better, worse = ("low", "high") if mode == "min" else ("high", "low")
    assert said(tmp_path, values, mode).startswith(f"model={better} is better than model={worse}")


def test_common_seeds_decide_also_against_the_means(tmp_path: Path) -> None:
    """The mean of `a` is higher only because of a lucky seed that `b` was not trained with."""
    values = {"a": {0: 0.50, 1: 0.51, 2: 0.52, 9: 0.99}, "b": {0: 0.55, 1: 0.561, 2: 0.572}}
    assert said(tmp_path, values).startswith("model=b is better than model=a")


def test_new_seeds_are_not_the_one_that_chose(tmp_path: Path) -> None:
    runs = [
        make_run(
            tmp_path / str(number),
            {"lr": number, "seed": 2},
            acc=0.1 * number,
            command=f"python train.py lr={number} seed=2",
        )
        for number in range(2)
    ]
    comparison = compare(runs)
    words = once_each(comparison.configurations, comparison.objective)
    assert words.startswith("One seed each: the two best differ in val/acc by 0.1, which may be chance.")
    assert words.endswith("python train.py -m lr=1 seed=0,1,3,4,5")


@pytest.mark.parametrize("command", ["python train.py resume=outputs/1", "python train.py -m lr=1", "", "'"])
def test_a_command_that_cannot_be_run_under_other_seeds_is_left_out(tmp_path: Path, command: str) -> None:
    runs = [make_run(tmp_path / str(n), {"lr": n}, acc=0.5, command=command) for n in range(2)]
    comparison = compare(runs)
    words = once_each(comparison.configurations, comparison.objective)
    assert words == "One seed each: the two best are equal in val/acc."


def test_configurations_are_told_apart_by_type_too(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / f"{clip}-{seed}", {"seed": seed, "clip": clip}, acc=acc + seed * (1 + acc) / 100)
        for clip, acc in ((1, 0.9), (True, 0.1))
        for seed in range(3)
    ]
    comparison = compare(runs)
    words = significance(comparison.configurations, comparison.objective)
    assert words.startswith("clip=1 is better than clip=true")
