"""The oracle is Hydra: what its own `load_sweep_config` composes, a launcher would run."""

import copy
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from sweeplab.records import links
from sweeplab.sweep.config.snapshot import ConfigSnapshot
from sweeplab.sweep.config.trial_config import TrialConfig
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

FILES = {
    "config.yaml": """
        defaults: [_self_, model: mlp, optional space: "${model}", optimizer@inner.optimizer: adam, experiment: null]
        lr: 0.1
        name: plain
        layers: [1, 2]
        nested: {a: 1, b: {c: 2}}
        label: ${model.kind}-${lr}
        where: ${hydra:runtime.output_dir}
        hydra:
          sweep: {dir: "multirun/${now:%H-%M-%S-%f}"}
    """,
    "model/mlp.yaml": "{kind: mlp, width: 8}",
    "model/cnn.yaml": "{kind: cnn, depth: 3}",
    "space/cnn.yaml": "{model.depth: 'range(1, 5)'}",
    "optimizer/adam.yaml": "{kind: adam, decay: 0}",
    "optimizer/sgd.yaml": "{kind: sgd, momentum: 0.9}",
    "experiment/big.yaml": """
        # @package _global_
        defaults: [override /model: cnn, override /optimizer@inner.optimizer: sgd]
        lr: 0.5
        model: {depth: 50}
    """,
    "experiment/logged.yaml": """
        # @package _global_
        hydra: {verbose: [config_snapshot]}
    """,
}
CONF = ROOT / "conf"


def choices() -> Iterator[str]:
    """Every file of this project's configuration, as the override that chooses it."""
    for path in sorted(CONF.glob("*/**/*.yaml")):
        first, *rest = path.relative_to(CONF).with_suffix("").parts
        if first == "hydra":
            yield f"{'/'.join([first, *rest[:-1]])}={rest[-1]}"
        elif first != "local":  # the user's own, which differs from one checkout to the next
            yield f"{first}={'/'.join(rest)}"


@dataclass
class Schema:
    lr: float = 0.1
    layers: list[int] = field(default_factory=lambda: [1])
    model: Any = None


@dataclass
class SchemaOfModel:
    width: int = 8


STORE = ConfigStore.instance()
STORE.store(name="schema_of_frozen", node=Schema)
STORE.store(name="wide", group="model", node=SchemaOfModel, package="model")


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = text.strip("\n").splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        path.write_text("\n".join(line[indent:] for line in lines) + "\n")
    return folder


@dataclass
class Sweep:
    """A sweep at its beginning, and Hydra's own way to go on."""

    master: DictConfig
    loader: ConfigLoader
    fixed: tuple[str, ...]
    config_snapshot: ConfigSnapshot

    def oracle(self, *overrides: str) -> DictConfig:
        config = self.loader.load_sweep_config(self.master, [*self.fixed, *overrides])
        with open_dict(config):  # as hydra's BasicLauncher has it
            config.hydra.job.id = "7"
            config.hydra.job.num = 7
        return config

    def trial(self, *overrides: str) -> DictConfig:
        trial_config: TrialConfig = pickle.loads(pickle.dumps(self.config_snapshot.trial_config(overrides)))
        return trial_config.config(7)

    def check(self, *overrides: str) -> DictConfig:
        """Make sure that a trial gets what Hydra gives it, and return that."""
        trial, oracle = self.trial(*overrides), self.oracle(*overrides)
        assert plain(trial) == plain(oracle)
        assert resolved(trial) == resolved(oracle)
        assert trial._metadata == oracle._metadata  # flags, and the values that `now` has already had
        return trial


def begin(conf: Path | str, folder: Path, *fixed: str, name: str = "config", hydra: tuple[str, ...] = ()) -> Sweep:
    """Do what Hydra does under -m until a sweeper takes over."""
    version.setbase("1.3")
    main = Hydra.create_main_hydra2("app", create_config_search_path(str(conf)))
    GlobalHydra.instance().clear()
    master = main.compose_config(name, ["hydra.mode=MULTIRUN", *hydra, *fixed], RunMode.MULTIRUN)
    assert master.hydra.sweep.dir  # which settles the time in it
    return Sweep(master, main.config_loader, fixed, ConfigSnapshot(master, main.config_loader, fixed, folder))


def plain(config: DictConfig) -> Any:
    return OmegaConf.to_container(config, resolve=False)


def resolved(config: DictConfig) -> Any:
    """All values of the task, and those of Hydra's that a launcher looks at, as `run_job` sees them."""
    config = copy.deepcopy(config)
    HydraConfig.instance().set_config(config)
    with read_write(config.hydra.runtime):
        config.hydra.runtime.output_dir = f"{config.hydra.sweep.dir}/{config.hydra.sweep.subdir}"
    HydraConfig.instance().set_config(config)
    task = copy.deepcopy(config)
    with open_dict(task):
        del task["hydra"]
    parts = (task, config.hydra.job, config.hydra.sweep, config.hydra.job_logging)
    return [links.resolved(part) for part in parts]


@pytest.fixture(autouse=True)
def folder() -> Iterator[None]:
    """Instead of a folder of each test's own: a sweep here serves many tests."""
    yield
    HydraConfig.instance().cfg = None


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    folder = tmp_path_factory.mktemp("small")
    return begin(write(folder / "conf", FILES), folder / "sweep")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return begin(CONF, tmp_path_factory.mktemp("project"), name="train")


@pytest.mark.parametrize(
    "overrides",
    [
        "",
        "lr=0.2",
        "lr=null",
        "lr=1 lr=2",
        "name='two words'",
        "name='it\\'s, a=b'",
        'name="{x}"',
        "name=",
        "name=${model.kind}",
        "name='größer'",
        "name=1e-3",
        "layers=[3,[4,null],{a:b}]",
        "layers=[]",
        "nested.b={c:5}",
        "nested={a:6}",
        "model.width=16",
        "inner.optimizer.decay=1",
        "+new=1",
        "+nested.d.e=[1]",
        "+nested={d:1}",
        "++lr=3",
        "++new.er=x",
        "~nested.b",
        "~nested",
        "~nested.a=1",
        "+new=1 ~new +new=2",
        "nested.a=2 ~nested.a +nested.a=3",
    ],
)
def test_values_give_what_hydra_gives(small: Sweep, overrides: str) -> None:
    lines = split(overrides)
    assert tuple(override.input_line for override in small.config_snapshot.trial_config(lines).values) == lines
    small.check(*lines)


@pytest.mark.parametrize(
    "overrides",
    [
        "model=cnn",
        "model=cnn model.depth=4",
        "model.depth=4 model=cnn",
        "model=mlp model=cnn",
        "model={width:9}",
        "~optimizer@inner.optimizer",
        "~optimizer@inner.optimizer=adam lr=2",
        "+optimizer=sgd",
        "+optimizer@second=sgd second.momentum=0.1",
        "+optimizer@a.b=adam a.b.decay=1 lr=2",
        "optimizer@inner.optimizer=sgd inner.optimizer.momentum=0.5",
        "+model@more=[mlp,cnn]",
        "experiment=big",
        "experiment=big lr=7 model.depth=1",
        "experiment=big model=mlp ~model.depth",
        "experiment=logged lr=3",
    ],
)
def test_choices_give_what_hydra_gives(small: Sweep, overrides: str) -> None:
    small.check(*split(overrides))


@pytest.mark.parametrize("overrides", ["hydra.verbose=true lr=1", "hydra/job_logging=disabled", "hydra={verbose:true}"])
def test_what_is_hydras_own_gives_what_hydra_gives(small: Sweep, overrides: str) -> None:
    small.check(*split(overrides))


@pytest.mark.parametrize(
    ("fixed", "own"),
    [
        ("lr=3", "lr=4"),
        ("lr=3 lr=4", ""),
        ("model=cnn", "model.depth=5"),
        ("model=mlp", "model=cnn model.depth=5"),
        ("~nested.b", "+nested.b=1"),
        ("+new={a:1}", "new.a=2 +new.b=3"),
        ("experiment=big", "experiment=logged"),
    ],
)
def test_what_all_trials_share_comes_before_their_own(tmp_path: Path, fixed: str, own: str) -> None:
    sweep = begin(write(tmp_path / "conf", FILES), tmp_path, *split(fixed), hydra=("hydra.job.name=shared",))
    sweep.check(*split(own))


@pytest.mark.parametrize(
    "key", ["nope=1", "+lr=1", "model=nope", "nope@here=1", "lr=1,2", "~nope", "lr.x=1", "model=3"]
)
def test_what_hydra_refuses_is_refused_in_its_words(small: Sweep, key: str) -> None:
    with pytest.raises((HydraException, ValueError), match=None) as expected:
        small.oracle(key)
    with pytest.raises(type(expected.value)) as found:
        small.trial(key)
    copied, original = small.config_snapshot.conf, small.master.hydra.runtime.config_sources[1].path
    assert str(found.value).replace(str(copied), original) == str(expected.value)


def test_a_trial_is_as_strict_as_hydra_makes_it(small: Sweep) -> None:
    for overrides in ((), ("lr=2",), ("model=cnn", "lr=2")):
        with pytest.raises(AttributeError):
            small.trial(*overrides).nope = 1


@pytest.mark.slow
@pytest.mark.parametrize("choice", list(choices()))
def test_every_choice_of_this_project_gives_what_hydra_gives(project: Sweep, tmp_path: Path, choice: str) -> None:
    group, _, name = choice.partition("=")
    if group == "sweep":  # chosen before a sweep begins, and so are Hydra's own
        begin(CONF, tmp_path, choice, name="train").check("seed=17")
        return
    if group.startswith("hydra/"):
        begin(CONF, tmp_path, name="train", hydra=(choice,)).check("seed=17")
        return
    text = (CONF / group / f"{name}.yaml").read_text()
    package = [] if "@package _global_" in text else [group]
    key = ".".join([*package, *first_key(OmegaConf.to_container(OmegaConf.create(text)))])
    config = project.check(choice, f"++{key}=17")
    assert OmegaConf.select(config, key) == 17


def test_a_value_of_this_project_gives_what_hydra_gives(project: Sweep) -> None:
    assert project.check("seed=3", "optimizer.lr=0.3").optimizer.lr == 0.3


def test_the_name_made_of_overrides_is_hydras(tmp_path: Path) -> None:
    style = "hydra.job.config.override_dirname"
    hydra = (f"{style}.kv_sep=-", f"{style}.item_sep=__", f"{style}.exclude_keys=[name]", "hydra.sweep.subdir=${name}")
    sweep = begin(write(tmp_path / "conf", FILES), tmp_path, "nested.a=5", hydra=hydra)
    assert sweep.check("name=x", "lr=2", "model=cnn").hydra.job.override_dirname == "lr-2__model-cnn__nested.a-5"


def test_all_trials_have_the_time_of_the_sweep(small: Sweep) -> None:
    folders = {small.check(*own).hydra.sweep.dir for own in ((), ("lr=1",), ("model=cnn",), ("experiment=big", "lr=2"))}
    assert folders == {small.master.hydra.sweep.dir}


def test_variables_of_the_environment_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROZEN", "it is")
    sweep = begin(write(tmp_path / "conf", FILES), tmp_path, hydra=("hydra.job.env_copy=[FROZEN]",))
    assert sweep.check("lr=2").hydra.job.env_set.FROZEN == "it is"


def test_schemas_of_the_config_store_hold(tmp_path: Path) -> None:
    files = {"config.yaml": "{defaults: [schema_of_frozen, _self_, model: narrow], lr: 1}", "model/narrow.yaml": "a: 1"}
    sweep = begin(write(tmp_path / "conf", files), tmp_path)
    assert OmegaConf.get_type(sweep.check("lr=2", "layers=[5]")) is Schema
    assert OmegaConf.get_type(sweep.check("model=wide", "model.width=4").model) is SchemaOfModel
    for wrong in (["lr=word"], ["layers=[word]"], ["model=wide", "model.width=word"]):
        with pytest.raises(HydraException):
            sweep.trial(*wrong)


@pytest.mark.parametrize("where", ["primary", "command line"])
def test_folders_of_the_search_path_are_frozen_too(tmp_path: Path, where: str) -> None:
    extra = write(tmp_path / "extra", {"model/rnn.yaml": "{kind: rnn, cells: 3}", "model/cnn.yaml": "never seen"})
    conf = write(tmp_path / "conf", FILES)
    line = f"hydra.searchpath=[file://{extra}]"
    if where == "primary":
        (conf / "config.yaml").write_text(f"{(conf / 'config.yaml').read_text()}  searchpath: [file://{extra}]\n")
    sweep = begin(conf, tmp_path / "sweep", hydra=(line,) if where == "command line" else ())
    trials = [["model=rnn", "model.cells=4"], ["model=cnn"], ["lr=2"]]
    expected = [plain(sweep.check(*own)) for own in trials]
    shutil.rmtree(extra)
    again = ConfigSnapshot(sweep.master, sweep.loader, (), tmp_path / "again")
    assert sweep.config_snapshot.options("model") == ["cnn", "mlp", "rnn", "wide"]
    assert [plain(sweep.trial(*own)) for own in trials] == expected
    with pytest.raises(HydraException):
        again.trial_config(["model=rnn"])


@pytest.mark.parametrize("edit", ["changed", "removed"])
def test_an_edit_on_disk_does_not_leak_in(tmp_path: Path, edit: str) -> None:
    conf = write(tmp_path / "conf", FILES)
    sweep = begin(conf, tmp_path / "sweep")
    trials = [[], ["lr=2"], ["model=cnn", "model.depth=4"], ["experiment=big"], ["+optimizer=sgd"]]
    expected = [plain(sweep.oracle(*own)) for own in trials]
    if edit == "removed":
        shutil.rmtree(conf)
    else:
        for path in conf.rglob("*.yaml"):
            path.write_text("edited: true")
        write(conf, {"model/late.yaml": "kind: late", "lr/one.yaml": "a: 1"})
    assert [plain(sweep.trial(*own)) for own in trials] == expected
    assert sweep.config_snapshot.options("model") == ["cnn", "mlp", "wide"]
    assert not sweep.config_snapshot.is_group("lr")


def test_groups_and_their_choices_are_known(small: Sweep) -> None:
    assert small.config_snapshot.options("experiment") == ["big", "logged"]
    assert small.config_snapshot.options("optimizer@inner.optimizer") == ["adam", "sgd"]
    assert small.config_snapshot.is_group("optimizer@inner.optimizer")
    assert small.config_snapshot.is_group("hydra/launcher")
    assert not small.config_snapshot.is_group("lr")


def test_trials_of_the_same_choices_share_one_base(small: Sweep) -> None:
    bases = [small.config_snapshot.trial_config(["model=cnn", f"lr={lr}"]).base for lr in (1, 2)]
    assert bases[0] is bases[1]


def test_a_fresh_process_needs_no_file_and_no_plugin(small: Sweep, tmp_path: Path) -> None:
    own = ["model=cnn", "model.depth=4", "name='a b'"]
    code = """if True:
        import json, pickle, sys
        config = pickle.load(sys.stdin.buffer).config(7)
        from hydra.core.singleton import Singleton
        from omegaconf import OmegaConf
        assert not [kind for kind in Singleton._instances if kind.__name__ == "Plugins"]
        json.dump(OmegaConf.to_container(config, enum_to_str=True), sys.stdout)
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        input=pickle.dumps(small.config_snapshot.trial_config(own)),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout) == OmegaConf.to_container(small.oracle(*own), enum_to_str=True)


def test_a_single_run_can_start_from_the_copy(tmp_path: Path) -> None:
    conf = write(tmp_path / "conf", FILES)
    copied = begin(conf, tmp_path / "sweep").config_snapshot.conf
    assert copied
    shutil.rmtree(conf)
    assert begin(copied, tmp_path / "again").check("model=cnn").model.depth == 3


def test_a_folder_without_a_file_is_copied_too(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    sweep = begin(tmp_path / "conf", tmp_path / "sweep", name="schema_of_frozen")
    assert sweep.check("lr=2").lr == 2
    write(tmp_path / "conf", {"model/cnn.yaml": "{kind: cnn}"})
    again = begin(tmp_path / "conf", tmp_path / "again", name="schema_of_frozen")
    assert "cnn" in again.config_snapshot.options("model")


def test_a_configuration_in_a_package_needs_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "app_of_frozen", {**FILES, "__init__.py": "#"})
    monkeypatch.syspath_prepend(tmp_path)
    sweep = begin("pkg://app_of_frozen", tmp_path / "sweep")
    assert sweep.config_snapshot.conf is None
    sweep.check("model=cnn", "lr=2")


def split(text: str) -> tuple[str, ...]:
    """The overrides in a line; a space inside quotes is none between two."""
    return (text,) if "'" in text else tuple(text.split())


def first_key(content: Any) -> list[str]:
    """The path of the first value in a file, or of a new one where it has none."""
    keys = [key for key in content if key not in ("defaults", "_target_")]
    if not keys:
        return ["patched"]
    value = content[keys[0]]
    return [keys[0], *(first_key(value) if isinstance(value, dict) else ())]
