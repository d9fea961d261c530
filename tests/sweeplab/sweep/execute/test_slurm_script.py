"""What SLURM is asked for; nothing here needs a SLURM."""

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from sweeplab.errors import UserError
from sweeplab.sweep.config.settings import ClusterSettings, Settings
from sweeplab.sweep.execute.connect import cluster_of, job_script
from sweeplab.sweep.execute.controller_job import controller_options
from tests.conftest import ROOT
from tests.sweeplab.sweep.specs import spec_of


def settings(*overrides: str) -> ClusterSettings:
    """What the project's own file makes of overrides."""
    words = [f"{'+' * word.startswith('+')}cluster.{word.removeprefix('+')}" for word in overrides]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose(overrides=["+cluster=slurm", "cluster.start.logs=multirun/cnn/slurm", *words])
    given: Any = OmegaConf.to_container(config.cluster, resolve=True)
    return ClusterSettings(**given)


def lines(*overrides: str) -> list[str]:
    pytest.importorskip("dask_jobqueue")
    script = job_script(settings(*overrides))
    assert script is not None
    return [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")]


def test_the_job_of_a_node_asks_for_what_the_keys_say_and_showing_it_leaves_nothing(folder: Path) -> None:
    asked = lines(
        "partition=gpu", "account=ml", "qos=high", "time=08:00:00", "gpus=a100:4", "cpus=8", "memory=64GiB",
        'directives=["--constraint=ib"]', "leave_before=90",
    )  # fmt: skip
    assert {"-p gpu", "-A ml", "--qos=high", "-t 08:00:00", "--gres=gpu:a100:4", "--cpus-per-task=8", "--mem=64G"} < {
        *asked
    }
    assert {"--constraint=ib", "--signal=B:TERM@90", f"--output={folder}/multirun/cnn/slurm/node-%j.log"} < {*asked}
    assert not list(folder.iterdir())


def test_what_is_not_asked_for_has_no_line() -> None:
    assert not [line for line in lines() if line.startswith(("-p", "-A", "--qos", "--gres"))]


def test_the_controller_s_job_asks_for_what_that_of_a_node_does_but_for_a_few_cores() -> None:
    spec = spec_of("x=1,2,3")[0]
    words = ("partition=gpu", "controller.partition=cpu", "account=ml", "cpus=32", "controller.memory=64GiB")
    options = controller_options(spec, settings(*words))
    assert {"--mem=64G", "--partition=cpu", "--account=ml", "--cpus-per-task=2", "--time=04:00:00", "--requeue"} < {
        *options
    }
    assert not [option for option in options if option.startswith("--qos")]
    with pytest.raises(UserError, match="has no key 'partion'; did you mean 'partition'"):
        controller_options(spec, settings("+controller.partion=cpu"))


@pytest.mark.parametrize("job", ["start", "controller"])
def test_a_time_that_yaml_takes_for_a_number_is_refused(job: str) -> None:
    given = OmegaConf.to_container(OmegaConf.create(f"{job}: {{time: 10:00:00}}"))
    with pytest.raises(UserError, match=r'time=36000 is a number, .* in quotes: time: "10:00:00"'):
        cluster_of(Settings(cluster=given))
