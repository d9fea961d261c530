from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from sweeplab.hydra_errors import sentence


class Net:
    def __init__(self, width: int, depth: int = 2) -> None: ...


class Open:
    def __init__(self, width: int, **more: int) -> None: ...


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sys.argv", ["train.py"])  # pytest's -m would be taken for a sweep's
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


@pytest.mark.parametrize(
    ("target", "override", "message"),
    [
        ("Net", "model.hiden=3", "there is no key 'model.hiden'; {} takes width, depth."),
        ("Net", "model.widht=3", "there is no key 'model.widht'; did you mean 'model.width'? ({} takes width, depth)"),
        ("Net", "model.dept=3", "there is no key 'model.dept'; did you mean '+model.depth'? ({} takes width, depth)"),
        ("Net", "model.seed=3", "there is no key 'model.seed'; did you mean 'seed'? ({} takes width, depth)"),
        (
            "Net",
            "model.depth=3",
            "the configuration does not set 'model.depth'; {} takes it, so write +model.depth=...",
        ),
        ("Open", "model.x=3", "there is no key 'model.x'; {} takes width and others (+model.x=... adds it)."),
        (
            "Nowhere",
            "model.widht=3",
            "there is no key 'model.widht'; did you mean 'model.width'? (+model.widht=... adds it)",
        ),
    ],
)
def test_a_key_that_a_class_does_not_take_is_answered_with_its_arguments(
    conf: Path, target: str, override: str, message: str
) -> None:
    target = f"{__name__}.{target}"
    (conf / "model" / "cnn.yaml").write_text(f"_target_: {target}\nwidth: 3\n")
    with initialize_config_dir(str(conf), version_base="1.3"), pytest.raises(HydraException) as error:
        compose("train", [override])
    assert sentence(error.value, conf) == message.format(target)


def test_in_a_sweep_another_choice_may_have_the_key(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["train.py", "-m"])
    (conf / "model" / "cnn.yaml").write_text(f"_target_: {__name__}.Net\nwidth: 3\n")
    with initialize_config_dir(str(conf), version_base="1.3"), pytest.raises(HydraException) as error:
        compose("train", ["model.channels=3"])
    assert "++model.channels=... adds it" in str(sentence(error.value, conf))


def test_an_error_of_the_program_is_no_mistake_of_the_command_line() -> None:
    assert sentence(ZeroDivisionError("division by zero")) is None
