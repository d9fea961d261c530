import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from sweeplab.training.config_tree import print_tree
from tests.conftest import ROOT


def test_the_tree_has_every_group_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRIVATE", "of the environment")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        overrides = ["folder=.", "root=.", "+api_key=abcdef-123456", "+private=${oc.env:PRIVATE}", "model.width=77"]
        print_tree(compose("train", overrides))
    shown = capsys.readouterr().out
    assert "width: 77" in shown
    assert "shuffle_seed: 0" in shown  # interpolations are resolved
    assert "api_key: '***'" in shown
    assert "abcdef" not in shown
    assert "of the environment" not in shown
    assert shown.index("data") < shown.index("model") < shown.index("trainer")


def test_a_value_of_any_length_is_whole_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    print_tree(OmegaConf.create({"data": {"path": "x" * 300}}))
    assert f"path: {'x' * 300}\n" in capsys.readouterr().out
