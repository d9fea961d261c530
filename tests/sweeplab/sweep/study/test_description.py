from pathlib import Path

import pytest

from sweeplab.records.study import Axis, Study
from sweeplab.sweep.space.space import Space
from sweeplab.sweep.study.description import axes
from tests.sweeplab.sweep.conftest import Sweep

STUDY = Path("multirun/study")


@pytest.mark.parametrize(
    ("written", "axis"),
    [
        ("a,b", Axis(choices=["a", "b"])),
        ("3,1,2", Axis(choices=[3, 1, 2])),
        ("[1,2],null", Axis(choices=[[1, 2], None])),
        ("range(4,0,-1)", Axis(low=1, high=4)),
        ("interval(0,0.5)", Axis(low=0.0, high=0.5)),
        ("tag(log,int(interval(16,512)))", Axis(low=16, high=512, log=True)),
    ],
)
def test_what_is_searched_is_an_axis(written: str, axis: Axis) -> None:
    space, _ = Space.parse({}, [f"x={written}"], lambda group: [])
    assert axes(space) == {"x": axis}


@pytest.mark.parametrize(
    ("first", "second", "axis"),
    [
        ("choice(1,2)", "choice(2,3)", Axis(choices=[1, 2, 3])),
        ("tag(log,interval(1,10))", "tag(log,interval(5,100))", Axis(low=1.0, high=100.0, log=True)),
        ("tag(log,interval(1,10))", "interval(5,100)", Axis(low=1.0, high=100.0)),
        ("range(3)", "choice(9,none)", Axis(low=0, high=9)),
    ],
)
def test_a_key_that_is_searched_under_several_conditions_is_one_axis(first: str, second: str, axis: Axis) -> None:
    params = {"net": "choice(a,b)", "when": {"net=a": {"x": first}, "net=b": {"x": second}}}
    space, _ = Space.parse(params, [], lambda group: [])
    assert axes(space)["x"] == axis


@pytest.mark.slow
def test_the_folder_of_a_sweep_tells_what_is_searched_and_how_much(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["app.py", "-m", "x=1,2,3", "opt=sgd,adam"])
    assert sweep("x=1,2,3", "opt=sgd,adam") == 0
    assert Study.read(STUDY) == Study(
        name="study",
        command="python app.py -m x=1,2,3 opt=sgd,adam study=study",
        objectives=[{"metric": "objective", "mode": "min"}],
        axes={"x": Axis(choices=[1, 2, 3]), "opt": Axis(choices=["sgd", "adam"])},
        n_trials=6,
    )


@pytest.mark.slow
def test_a_sweep_that_goes_on_tells_its_new_budget(sweep: Sweep) -> None:
    search = ("x=interval(0,1)", "hydra/sweeper/sampler=random", "hydra.sweeper.direction=maximize")
    storage = "hydra.sweeper.storage=sqlite:///sweeps.db"
    for total in (1, 2):
        assert sweep(*search, storage, f"hydra.sweeper.n_trials={total}") == 0
        study = Study.read(STUDY)
        assert study.n_trials == total
    assert study.axes == {"x": Axis(low=0.0, high=1.0)}
    assert study.objectives == [{"metric": "objective", "mode": "max"}]
    assert study.storage == "sqlite:///sweeps.db"
