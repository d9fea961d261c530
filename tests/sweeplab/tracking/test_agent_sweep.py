import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from sweeplab.errors import UserError
from sweeplab.sweep.listener import SweepInfo
from sweeplab.sweep.space.values import Value, plain, same
from sweeplab.tracking.agent_sweep import agent_sweep, agent_value
from tests.conftest import Command, small
from tests.sweeplab.sweep.app import app
from tests.sweeplab.tracking.infos import ACCURACY, info_of
from tests.wandb_server import ENTITY, WandbServer

pytestmark = pytest.mark.slow

BUDGET = "hydra.sweeper.n_trials=5"
# What W&B's schema of sweeps (sweeps/config/schema.json in its package `sweeps`) has for these, and nothing besides.
FORMS = {
    None: {"values"},
    "uniform": {"distribution", "min", "max"},
    "log_uniform_values": {"distribution", "min", "max"},
    "int_uniform": {"distribution", "min", "max"},
    "q_log_uniform_values": {"distribution", "min", "max", "q"},
}
TOP = {"program", "project", "entity", "name", "method", "metric", "run_cap", "parameters", "command"}


def content_of(info: SweepInfo) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(agent_sweep(info, "proj"))
    return read


def sweep(*overrides: str) -> dict[str, Any]:
    return content_of(info_of(*ACCURACY, *overrides))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("x=interval(0,0.5)", {"distribution": "uniform", "min": 0.0, "max": 0.5}),
        ("x=tag(log,interval(1e-5,1))", {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0}),
        ("y=int(interval(8,64))", {"distribution": "int_uniform", "min": 8, "max": 64}),
        ("y=range(1,5)", {"distribution": "int_uniform", "min": 1, "max": 4}),
        ("y=tag(log,int(interval(8,64)))", {"distribution": "q_log_uniform_values", "q": 1, "min": 8, "max": 64}),
        ("y=range(1,9,3)", {"values": [1, 4, 7]}),
        ("x=range(0,1,0.25)", {"values": [0.0, 0.25, 0.5, 0.75]}),
        ("x=interval(1,1)", {"values": [1.0]}),
        ("y=range(3,4)", {"values": [3]}),
        ("y=1,2,4", {"values": [1, 2, 4]}),
        ("fast=true,false", {"values": [True, False]}),
        ("opt=glob(*)", {"values": ["adam", "sgd"]}),
        ("name=plain,null,'a b','1'", {"values": ["plain", "null", "'a b'", "'1'"]}),
        ("layers=[1],[1,2]", {"values": ["[1]", "[1,2]"]}),
    ],
)
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_each_kind_of_parameter_has_its_form(written: str, expected: dict[str, Any], sampler: str) -> None:
    read = sweep(written, "steps=1,2", f"hydra/sweeper/sampler={sampler}", BUDGET)
    assert read["parameters"][written.partition("=")[0]] == expected
    assert len(read["parameters"]) == 2


def test_bounds_are_those_of_the_search() -> None:
    info = info_of(*ACCURACY, "x=tag(log,interval(3e-4,3e-2))", "y=range(2,7)", "sleep=interval(0.1,0.7)", BUDGET)
    for parameter in info.space.parameters:
        ours: Any = parameter.distribution
        theirs = content_of(info)["parameters"][parameter.key]
        assert (theirs["min"], theirs["max"]) == (ours.low, ours.high)


@pytest.mark.parametrize(
    ("overrides", "method", "cap"),
    [
        (("x=1,2", "y=range(1,5)"), "grid", None),
        (("x=1,2", "y=range(1,5)", "hydra.sweeper.n_trials=8"), "grid", 8),
        (("x=1,2", "y=range(1,5)", "hydra/sweeper/sampler=grid", "hydra.sweeper.n_trials=3"), "grid", 3),
        (("x=1,2", "y=range(1,5)", "hydra.sweeper.n_trials=3"), "bayes", 3),
        (("x=interval(0,1)", "hydra/sweeper/sampler=random", BUDGET), "random", 5),
        (("x=interval(0,1)", "hydra/sweeper/sampler=qmc", BUDGET), "random", 5),
        (("x=interval(0,1)", "hydra/sweeper/sampler=tpe", BUDGET), "bayes", 5),
        (("opt=sgd,adam", "fast=true,false", "hydra/sweeper/sampler=tpe", BUDGET), "random", 5),
    ],
)
def test_the_search_is_the_nearest_of_wandbs(overrides: tuple[str, ...], method: str, cap: int | None) -> None:
    read = sweep(*overrides)
    assert (read["method"], read.get("run_cap")) == (method, cap)


def test_a_grid_lists_every_value_which_wandbs_own_steps_would_not() -> None:
    read = sweep("y=range(1,5)", "x=range(0,1,0.25)", "steps=tag(log,int(interval(1,3)))")
    assert {key: form["values"] for key, form in read["parameters"].items()} == {
        "y": [1, 2, 3, 4],
        "x": [0.0, 0.25, 0.5, 0.75],
        "steps": [1, 2, 3],
    }


@pytest.mark.parametrize("method", ["tpe", "random", "grid"])
def test_the_file_holds_what_wandbs_schema_allows(method: str) -> None:
    read = sweep(
        f"hydra/sweeper/sampler={method}", "x=1,2", "y=range(1,5)", "steps=tag(log,int(interval(1,3)))", BUDGET
    )
    assert read.keys() <= TOP
    for form in read["parameters"].values():
        assert form.keys() == FORMS[form.get("distribution")]
        assert form.get("min", 0) < form.get("max", 1)


@pytest.mark.parametrize(("mode", "goal"), [("min", "minimize"), ("max", "maximize")])
def test_the_metric_is_what_the_summary_calls_objective(mode: str, goal: str) -> None:
    read = content_of(info_of("+objective.metric=val/loss", f"+objective.mode={mode}", "x=1,2"))
    assert read["metric"] == {"name": "objective", "goal": goal}


VALUES: list[Value] = [
    *(0, 1, -3, 10**12, 0.0, 0.1, 1e-05, 1e20, math.inf, True, False, None),
    *("word", "mnist1d/cnn", "", " ", "two words", "1", "1e-3", "null", "None", "true", "on", "a,b", "a=b", "it's"),
    *('say "so"', "a'b\"c", "$HOME", "back\\slash", "new\nline", "[1]", "{a:1}", "-x", "é"),
    *([], [1, 2], ["a b", None, 1.5, [True]], {}, {"a": 1, "b": ["x y", None]}),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_hydra_reads_what_an_agent_writes(value: Value) -> None:
    """The agent's own code, behind the YAML and the JSON that a value goes through on its way."""
    handed = json.loads(json.dumps(yaml.safe_load(yaml.safe_dump(agent_value(value)))))
    (word,) = create_sweep_command_args({"args": {"key": {"value": handed}}})["args_no_hyphens"]
    parsed = OverridesParser.create().parse_override(word)
    assert parsed.key_or_group == "key"
    assert not parsed.is_sweep_override()
    read = plain(parsed.value())
    assert same(read, value), word


def test_agents_run_the_program_with_what_all_trials_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", "--config-name", "config"])
    command = sweep("x=1,2", "y=7", "name='two words'", "opt=adam")["command"]
    assert command == [
        *("${env}", "${interpreter}", "${program}", "--config-name", "config"),
        *(*ACCURACY, "y=7", "name='two words'", "opt=adam", "${args_no_hyphens}"),
    ]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("+hydra.sweeper.params.when={opt\\=adam: {x: 'interval(0,1)'}}", "opt=adam,sgd", BUDGET),
            "know no conditions, and x is searched only under opt=adam",
        ),
        (("+new=1,2",), "cannot name \\+new"),
        (
            (f"hydra.sweeper.custom_search_space={info_of.__module__}.suggest", "x=1,2", BUDGET),
            "custom_search_space is code",
        ),
        (
            ("+objective.also=[{metric: size, mode: min}]", "x=interval(0,1)", "hydra/sweeper/sampler=tpe", BUDGET),
            "knows one objective, and this sweep has 2",
        ),
        ((), "nothing is searched"),
        (("x=1,2", "hydra.sweeper.one_at_a_time=true"), "cannot change one factor at a time"),
    ],
)
def test_what_wandb_cannot_say_is_refused(overrides: tuple[str, ...], message: str) -> None:
    info = info_of(*ACCURACY, *overrides)
    with pytest.raises(UserError, match=message):
        agent_sweep(info, "proj")


@pytest.fixture
def loggers(tmp_path: Path) -> Path:
    """The app's configuration with a choice of loggers."""
    conf = shutil.copytree(Path(app.__file__).parent / "conf", tmp_path / "conf")
    (conf / "logger").mkdir()
    for name in ("csv", "wandb"):
        (conf / "logger" / f"{name}.yaml").write_text(f"{name}: {{}}\n")
    text = (conf / "config.yaml").read_text()
    (conf / "config.yaml").write_text(text.replace("  - opt: sgd\n", "  - opt: sgd\n  - logger: csv\n"))
    return conf


@pytest.mark.parametrize(
    ("chosen", "words"),
    [((), ["logger=wandb"]), (("logger=wandb",), ["logger=wandb"]), (("logger=[csv,wandb]",), ["logger=[csv,wandb]"])],
)
def test_agents_log_to_wandb(loggers: Path, chosen: tuple[str, ...], words: list[str]) -> None:
    command = content_of(info_of("x=1,2", *chosen, conf=loggers))["command"]
    assert [word for word in command if "logger" in word] == words


def test_another_logger_alone_is_refused(loggers: Path) -> None:
    with pytest.raises(UserError, match=r"logger=csv keeps the runs .* from W&B; write logger=wandb"):
        agent_sweep(info_of("x=1,2", "logger=csv", conf=loggers), "proj")


def test_a_condition_that_is_decided_is_no_hindrance() -> None:
    under = "+hydra.sweeper.params.when={opt\\=adam: {x: 'interval(0,1)'}, opt\\=sgd: {y: 'range(1,5)'}}"
    assert list(sweep(under, "opt=adam", "steps=1,2", BUDGET)["parameters"]) == ["x", "steps"]


def test_what_is_left_out_is_said() -> None:
    info = info_of(
        *ACCURACY,
        *("x=interval(0,1)", BUDGET, "hydra/sweeper/sampler=tpe", "hydra/sweeper/pruner=asha"),
        *("hydra.sweeper.repeats=3", "hydra.sweeper.trial_timeout=60", "hydra.sweeper.enqueue=[{x: 0.5}]"),
    )
    comments = [line for line in agent_sweep(info, "proj").splitlines() if line.startswith("# Left out: ")]
    assert [
        word in line for word, line in zip(("SuccessiveHalving", "repeats=3", "first", "time"), comments, strict=True)
    ]
    assert "Left out" not in agent_sweep(info_of(*ACCURACY, "x=1,2"), "proj")


def test_project_and_entity_are_named_where_they_are_known() -> None:
    info = info_of("x=1,2")
    assert "entity" not in content_of(info)
    read = yaml.safe_load(agent_sweep(info, "proj", "team"))
    assert (read["project"], read["entity"]) == ("proj", "team")


@pytest.mark.slow
def test_train_py_under_a_real_agent(command: Command, tmp_path: Path, wandb_server: WandbServer) -> None:
    written = command(
        *("train.py", "-m", "model=linear", "logger=wandb", "hydra/sweeper/sampler=tpe", BUDGET),
        *("optimizer.lr=tag(log,interval(1e-4,1e-1))", "seed=0,1", *small(), "hydra.sweeper.preview=wandb"),
    )
    (tmp_path / "sweep.yaml").write_text(written.stdout)
    wandb_server.points = [{"optimizer.lr": 0.01, "seed": 0}, {"optimizer.lr": 0.02, "seed": 1}]
    told = wandb("sweep", "sweep.yaml", cwd=tmp_path)
    assert "ERROR" not in told
    told = wandb("agent", f"{ENTITY}/sweeplab/{wandb_server.sweeps[0].id}", cwd=tmp_path)
    runs = list(wandb_server.runs.values())
    assert [(run.project, run.sweep, run.exit_code) for run in runs] == [("sweeplab", "sweep0", 0)] * 2, told
    assert [(run.config["optimizer.lr"], run.config["seed"]) for run in runs] == [(0.01, 0), (0.02, 1)]
    assert [run.config["optimizer"]["lr"] for run in runs] == [0.01, 0.02]
    assert all(math.isfinite(run.summary["objective"]) for run in runs)
    assert not wandb_server.unknown


def wandb(*arguments: str, cwd: Path) -> str:
    """Run W&B's own command line, which finds the python of these tests; return all that it said."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "wandb", *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
