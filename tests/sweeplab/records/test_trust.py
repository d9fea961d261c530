"""What a folder that somebody sent may build, ask and write."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

import sweeplab
from sweeplab.errors import UserError
from sweeplab.records import config as run_config
from sweeplab.records import overrides, trust
from sweeplab.records.rerun import Rerun
from sweeplab.records.resume import check_resumable
from sweeplab.training.check import check_evaluation
from tests.conftest import ROOT, Compose
from tests.sweeplab.records.made_runs import make_run

CONF = ROOT / "conf"
MADE_OF = (
    "lab.models.cnn.CNN",
    "lab.data.digits.Digits",
    "tests.foreign.tables.TableModel",
    "sweeplab.tasks.Classification",
    "sweeplab.tasks.cosine",
    "sweeplab.callbacks.progress",
    "sweeplab.loggers.WandbRun",
    "torch.nn.Linear",
    "torch.nn.MSELoss",
    "torch.optim.Adam",
    "torch.optim.lr_scheduler.ReduceLROnPlateau",
    "torch.utils.data.DataLoader",
    "torchmetrics.classification.MulticlassAccuracy",
    "torchmetrics.MetricCollection",
    "lightning.pytorch.Trainer",
    "lightning.pytorch.LightningDataModule",
    "lightning.pytorch.callbacks.EarlyStopping",
    "lightning.pytorch.loggers.CSVLogger",
    "lightning.pytorch.profilers.SimpleProfiler",
    "lightning.pytorch.strategies.DDPStrategy",
)
NOT_MADE_OF = (
    "os.system",
    "builtins.eval",
    "builtins.exec",
    "subprocess.run",
    "functools.partial",
    "operator.methodcaller",
    "site.addsitedir",
    "runpy.run_path",
    "importlib.import_module",
    "numpy.load",
    "joblib.load",
    "pickle.loads",
    "hydra.utils.instantiate",
    "hydra.utils.get_method",
    "omegaconf.OmegaConf.load",
    "optuna.samplers.TPESampler",
    "torch.load",
    "torch.hub.load",
    "torch.utils.cpp_extension.load",
    "torch.utils.cpp_extension.load_inline",
    "torch.nn.Linear.load_state_dict",
    "torch.nn.modules.module.functools.partial",
    "torch.serialization.os.system",
    "torch.utils.data.dataloader.os",
    "torch.package.PackageImporter",
    "torch.jit.load",
    "torch.nn.Module.__class__",
    "torchmetrics.functional.accuracy",
    "lightning.pytorch.LightningModule.load_from_checkpoint",
    "lightning.pytorch.seed_everything",
    "lightning.pytorch.cli.LightningCLI",
    "lightning.pytorch.trainer.trainer.os.system",
    "sweeplab.load",
    "sweeplab.load_model",
    "sweeplab.Run",
    "sweeplab.records.files.write_text",
    "sweeplab.callbacks",
    "sweeplab.callbacks.best.BestCheckpoint",
    "sweeplab.training.checkpoint_callbacks.ModelCheckpoint",
    "lab.models.cnn.nn.Linear.load_state_dict",
    "lab.models.gan.LightningModule.load_from_checkpoint",
    "lab.models.gan.DigitGan.load_from_checkpoint",
    "lab.models.cnn.CNN.__init__.__globals__",
    "lab.data.mnist1d.Path.unlink",
    "lab:models",
    "lab",
    "__main__.evil",
    "${oc.env:TARGET}",
    "nowhere.Layer",
)


@pytest.fixture
def source(tmp_path: Path) -> trust.Source:
    return trust.Source(tmp_path / "config.yaml", tmp_path)


@pytest.mark.parametrize("target", MADE_OF)
def test_what_runs_are_made_of_is_built(source: trust.Source, target: str) -> None:
    trust.check({"model": {"_target_": target}}, source)


@pytest.mark.parametrize("target", NOT_MADE_OF)
def test_nothing_else_is_however_it_is_reached(source: trust.Source, target: str) -> None:
    with pytest.raises(UserError, match=r"config.yaml names model\.0\.net\._target_=.* add trust=true"):
        trust.check({"model": [{"net": {"_target_": target, "_partial_": True}}]}, source)


def test_a_target_that_is_no_text_is_refused(source: trust.Source) -> None:
    with pytest.raises(UserError, match=r"names model\._target_\.a=os\.system"):
        trust.check({"model": {"_target_": {"a": "os.system"}}}, source)


def test_a_package_that_the_folder_brings_along_is_refused_and_not_imported(
    source: trust.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bad_package", "bad_namespace/inner"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('it was imported')\n")
    (tmp_path / "bad_module.py").write_text("raise SystemExit('it was imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path.parent))
    for target in ("bad_package.Net", "bad_module.Net", "bad_namespace.inner.Net", f"{tmp_path.name}.bad_module.Net"):
        with pytest.raises(UserError, match="names _target_="):
            trust.check({"_target_": target}, source)


def test_a_package_around_the_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sent_study" / "3").mkdir(parents=True)
    (tmp_path / "sent_study" / "__init__.py").write_text("raise SystemExit('it was imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not trust.is_buildable("sent_study.Net", trust.Source(Path("c"), tmp_path / "sent_study" / "3"))


def test_a_module_of_the_folder_where_one_works_is_not_the_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lying_here.py").write_text("class Net: ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert not trust.is_buildable("lying_here.Net", trust.Source(Path("c"), tmp_path / "run"))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert trust.is_buildable("lying_here.Net", trust.Source(Path("c"), tmp_path / "run"))


@pytest.mark.parametrize(
    "text", ["${seed}", "${.width}", "${data:num_classes}", "${hydra:runtime.cwd}", "${oc.select:seed}", "$5", "{}"]
)
def test_interpolations_of_keys_are_answered(text: str) -> None:
    assert not trust.asks(text)


@pytest.mark.parametrize(
    "text",
    [
        "${oc.env:HOME}",
        "x${ oc.env:HOME}",
        "${oc.${e}:HOME}",
        "${oc.decode:'${oc.env:HOME}'}",
        "${oc.create:'a'}",
        "${eval:'1'}",
        "${a.${oc.env:HOME}}",
        "${oc.select:a,${oc.env:HOME}}",
        r"\\${oc.env:HOME}",
    ],
)
def test_other_interpolations_are_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "secret")
    assert trust.asks(text)
    assert "secret" not in str(OmegaConf.create(trust.inert({"a": {"b": [text]}})).a.b[0])


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        ("callbacks", "path", "last.ckpt"),
        ("callbacks", "path", "/etc/passwd"),
        ("callbacks", "dirpath", "~/.ssh"),
        ("callbacks", "filename", "../../x"),
        ("callbacks", "anything", "{folder}/../x"),
        ("callbacks", "anything", "{folder}x/y"),
        ("logger", "save_dir", "logs"),
        ("logger", "tracking_uri", "http://evil.example"),
        ("logger", "save_dir", "s3://bucket"),
        ("trainer", "default_root_dir", "/tmp"),
        ("task", "folder", "."),
    ],
)
def test_nothing_is_written_outside_of_the_folder(source: trust.Source, group: str, key: str, value: str) -> None:
    config = {"data": {"path": "/anywhere.npz"}, group: {"one": {key: value.format(folder=source.folder.resolve())}}}
    with pytest.raises(UserError, match=f"names {group}.one.{key}=.* outside of its folder"):
        trust.check_places(config, source)


def test_what_a_run_writes_by_default_is_in_its_folder(configured: Compose) -> None:
    from sweeplab.records.links import resolved

    config = resolved(configured("logger=[csv,wandb,tensorboard]", "debug=profile"))
    trust.check_places(config, trust.Source(Path("c"), Path(config["folder"])))


@pytest.mark.parametrize("name", ["metrics.csv", "train.log", "checkpoints", "eval", "config.yaml", "samples/one.png"])
def test_nothing_is_written_through_a_link_that_leads_out(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "run", {"trainer": {}}, status="failed")
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "file"
    target.write_text((run.folder / "config.yaml").read_text())
    path = run.folder / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target if "." in name else target.parent)
    with pytest.raises(UserError, match=f"{path} is a link that leads out of .* add trust=true"):
        check_resumable(run.folder, ["trainer.x=1"])
    with pytest.raises(UserError, match=r"has no checkpoints/last\.ckpt"):
        check_resumable(run.folder, ["+trainer.x=1"], trusted=True)
    path.unlink()
    (run.folder / "wandb" / "run-1" / "logs").mkdir(parents=True)
    (run.folder / "wandb" / "run-1" / "logs" / "debug-core.log").symlink_to("/nowhere")  # as W&B leaves it
    (run.folder / "inside").write_text(target.read_text())
    path.symlink_to(os.path.relpath(run.folder / "inside", path.parent))
    with pytest.raises(UserError, match=r"has no checkpoints/last\.ckpt"):
        check_resumable(run.folder, ["+trainer.x=1"])


@pytest.mark.parametrize("name", ["metrics.csv", "train.log", "wandb/debug.log"])
def test_no_pipe_is_written_to_or_read(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "run", {"trainer": {}}, status="failed")
    (run.folder / name).parent.mkdir(exist_ok=True)
    os.mkfifo(run.folder / name)
    with pytest.raises(UserError, match=f"{name} is neither a file nor a folder"):
        check_resumable(run.folder, trusted=True)


def test_results_of_an_evaluation_stay_in_the_folder(tmp_path: Path) -> None:
    from sweeplab.training.evaluate import evaluate

    run = make_run(tmp_path / "run")
    (run.folder / "eval").symlink_to(tmp_path)
    with pytest.raises(UserError, match="eval is a link that leads out"):
        evaluate(run.folder, [run.folder])


def test_the_word_is_found_in_a_command_line() -> None:
    assert trust.is_given(["a=1", "trust=true"])
    assert trust.is_given(["++trust=True"])
    assert not trust.is_given(["model.trust=true", "trust=true", "trust=false"])
    with pytest.raises(UserError, match="trust=yes must be true or false"):
        trust.is_given(["trust=yes"])


SENT: dict[str, dict[str, Any]] = {
    "a target": {"callbacks": {"x": {"_target_": "os.system", "command": "true"}}},
    "the environment": {"logger": {"x": {"_target_": "sweeplab.loggers.CSVLogger", "prefix": "${oc.env:SECRET}"}}},
    "a place": {"callbacks": {"x": {"_target_": "sweeplab.callbacks.LastCheckpoint", "path": "train.py"}}},
}


@pytest.fixture(params=SENT)
def sent(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run as somebody may have sent it."""
    monkeypatch.setenv("SECRET", "s3cret")
    whole = {"data": {}, "trainer": {"max_epochs": 1}, "model": {"_target_": "torch.nn.Identity"}, "test": False}
    run = make_run(tmp_path / "sent", {**whole, **SENT[request.param]}, acc=0.5, status="failed")
    (run.folder / "checkpoints").mkdir()
    (run.folder / "checkpoints" / "last.ckpt").touch()
    return run.folder


def test_a_folder_that_was_sent_is_refused_until_it_is_trusted(sent: Path) -> None:
    for ask in (
        lambda **more: check_resumable(sent, **more),
        lambda **more: check_evaluation(sent, "test", [], None, **more),
        lambda **more: Rerun.of(sent, [], CONF, "train", **more),
    ):
        with pytest.raises(UserError, match=r"config\.yaml (names|asks for) .* add trust=true\.$"):
            ask()
        ask(trusted=True)


def test_to_look_at_it_is_no_danger(sent: Path) -> None:
    run = sweeplab.load(sent)
    assert "s3cret" not in str(OmegaConf.to_container(run.config, resolve=True))  # type: ignore[union-attr]  # a run
    assert run.settings  # type: ignore[union-attr]  # a run


def test_overrides_that_a_record_claims_are_no_way_round(tmp_path: Path) -> None:
    made = {"optimizer": {"_target_": "torch.optim.Adam"}}
    run = make_run(tmp_path / "run", made, overrides=["+optimizer.x._target_=os.system", "hydra.searchpath=[/evil]"])
    with pytest.raises(UserError, match=r"names optimizer\.x\._target_=os\.system"):
        run_config.load(run.folder, ["optimizer=sgd"], CONF, to_build=True)


def test_a_signature_speaks_for_the_configuration_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who got a run may send it back with another record beside the configuration that was signed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    run = make_run(tmp_path / "run", overrides=["+optimizer.x._target_=os.system"])
    config = OmegaConf.create({"folder": str(run.folder), "optimizer": {"_target_": "torch.optim.Adam"}})
    facts = {**run.facts, "signature": run_config.save(config, run.folder)}
    (run.folder / "run.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match=r"names optimizer\.x\._target_=os\.system"):
        run_config.load(run.folder, ["optimizer=sgd"], CONF, to_build=True)


def test_a_folder_chooses_no_primary_configuration_elsewhere(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"optimizer": {"_target_": "torch.optim.Adam"}}, overrides=[])
    (run.folder / ".hydra").mkdir(exist_ok=True)
    (run.folder / ".hydra" / "hydra.yaml").write_text("hydra: {job: {config_name: ../../evil}}")
    assert overrides.config_name(run.folder) == "train"


def test_what_the_user_says_himself_is_built(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {"model": {"_target_": "torch.nn.Identity"}})
    config = run_config.load(run.folder, ["model._target_=fractions.Fraction"], CONF, to_build=True)
    assert config.model._target_ == "fractions.Fraction"


def test_a_run_of_ones_own_is_known_by_its_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("NAME", "given")
    run = make_run(tmp_path / "run")
    config = OmegaConf.create({"folder": str(run.folder), "x": {"_target_": "os.getcwd"}})
    facts = {**run.facts, "signature": run_config.save(config, run.folder)}
    (run.folder / "run.json").write_text(json.dumps(facts))
    assert (tmp_path / "state" / "sweeplab" / "key").stat().st_mode & 0o077 == 0
    moved = run.folder.rename(tmp_path / "moved")
    assert run_config.load(moved, to_build=True).x._target_ == "os.getcwd"
    (moved / "config.yaml").write_text((moved / "config.yaml").read_text().replace("getcwd", "system"))
    with pytest.raises(UserError, match=r"os\.system"):
        run_config.load(moved, to_build=True)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "somebody else"))
    (moved / "config.yaml").write_text((moved / "config.yaml").read_text().replace("system", "getcwd"))
    with pytest.raises(UserError, match=r"os\.getcwd"):
        run_config.load(moved, to_build=True)
