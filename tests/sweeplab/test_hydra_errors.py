from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from sweeplab.hydra_errors import sentence


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "cnn.yaml").write_text("width: 3\n")
    (tmp_path / "train.yaml").write_text("defaults: [{model: cnn}, _self_]\nseed: 0\nmust: ???\nlost: ${nowhere}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model=cn", "model=cn is not a choice; did you mean 'cnn'?"),
        ("model.widht=4", "there is no key 'model.widht'; did you mean 'model.width'? (+model.widht=... adds it)"),
        ("colour=1", "there is no key 'colour'; the top ones are model, seed, must, lost (+colour=... adds it)."),
        ("seed=1,2", "seed=1,2 names several values: add -m to run each of them, or write a list as key=[1,2]."),
        ("model=null", "a group takes the name of a choice, not null or a number; logger=none and callbacks=none are "),
        ("seed=[", "'seed=[' cannot be read: write key=value, and quote values with spaces or commas."),
    ],
)
def test_what_is_wrong_with_a_command_line_is_one_sentence(conf: Path, override: str, message: str) -> None:
    with initialize_config_dir(str(conf), version_base="1.3"), pytest.raises(Exception) as error:  # noqa: PT011 - any of Hydra's
        compose("train", [override])
    assert str(sentence(error.value, conf)).startswith(message)


@pytest.mark.parametrize(
    ("key", "message"),
    [("must", "must has no value; write must=..."), ("lost", "lost refers to a key that does not exist: ")],
)
def test_what_is_wrong_with_a_value_is_one_sentence(conf: Path, key: str, message: str) -> None:
    with initialize_config_dir(str(conf), version_base="1.3"):
        config = compose("train")
    with pytest.raises(Exception) as error:  # noqa: PT011 - any of OmegaConf's
        config[key]
    assert str(sentence(error.value, conf)).startswith(message)


def test_an_error_of_the_program_is_no_mistake_of_the_command_line() -> None:
    assert sentence(ZeroDivisionError("division by zero")) is None
