import pytest
from hydra import compose, initialize_config_dir

from sweeplab.errors import UserError
from sweeplab.hydra_errors import sentence
from sweeplab.other_templates import check_words
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("override", "advice"),
    [
        ("ckpt_path=last.ckpt", "resume=<run folder> resumes a run, init_from=<checkpoint>"),
        ("train=false", "python eval.py run=<run folder> tests a run without training it."),
        ("optimized_metric=val/acc", "write objective.metric=<name> objective.mode=max"),
        ("hparams_search=mnist_optuna", "write -m sweep=tpe"),
        ("task_name=mnist", "study=<name> names a sweep, tags=[<name>] any run"),
        ("paths={output_dir: here}", "hydra.run.dir=<folder>"),
        ("extras.ignore_warnings=true", "set PYTHONWARNINGS=ignore"),
    ],
)
def test_a_key_of_another_template_is_told_what_to_write_instead(override: str, advice: str) -> None:
    key = override.partition("=")[0]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"), pytest.raises(Exception) as error:  # noqa: PT011 - any of Hydra's
        compose("train", [override])
    assert str(sentence(error.value)).startswith(f"there is no key '{key}'; {advice}")


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["fit", "--config", "this.yaml"], "'fit' is no command here: python train.py trains and tests"),
        (["--trainer.max_epochs=2"], "write trainer.max_epochs=..., without dashes."),
        (["fit", "--trainer.max_epochs", "2"], "write trainer.max_epochs=..., without dashes."),
    ],
)
def test_a_command_line_of_lightning_cli_is_told_what_to_write_instead(words: list[str], advice: str) -> None:
    with pytest.raises(UserError) as error:
        check_words(words)
    assert advice in str(error.value)


def test_options_of_hydra_are_none_of_it() -> None:
    check_words(["--config-dir", "conf", "--cfg", "job", "-m", "test=false", "+trainer.fit=--a.b"])
