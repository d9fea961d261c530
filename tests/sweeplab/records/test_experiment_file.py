from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sweeplab.errors import UserError
from sweeplab.records.experiment_file import check_experiment

GOOD = """
defaults: [{override /model: cnn}, {override /hydra/sweeper/sampler: tpe}]
optimizer: {_target_: torch.optim.Adam, lr: 0.1}
hydra: {sweeper: {n_trials: 3, params: {optimizer.lr: "interval(0,1)"}}}
"""


def test_what_a_run_is_made_of_and_how_it_is_searched_may_be_set() -> None:
    check_experiment(Path("sent.yaml"), OmegaConf.create(GOOD), "_global_")


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("hydra: {sweeper: {storage: sqlite:///x}}", r"hydra\.sweeper\.storage"),
        ("hydra: {launcher: {x: 1}}", r"hydra\.launcher"),
        ("defaults: [{override /hydra/launcher: joblib}]", "override /hydra/launcher"),
        ("model: {_target_: os.system}", r"model\._target_=os\.system"),
        ("callbacks: {best: {dirpath: /home}}", r"callbacks\.best\.dirpath=/home"),
        ("x: ${oc.env:HOME}", "asks for x="),
    ],
)
def test_what_decides_what_is_run_and_where_is_refused(content: str, key: str) -> None:
    with pytest.raises(UserError, match=rf"sent\.yaml .*{key}"):
        check_experiment(Path("sent.yaml"), OmegaConf.create(content), "_global_")


def test_a_file_put_into_the_part_of_hydra_is_refused() -> None:
    with pytest.raises(UserError, match=r"sets hydra\.run"):
        check_experiment(Path("sent.yaml"), OmegaConf.create({"dir": "x"}), "hydra.run")
