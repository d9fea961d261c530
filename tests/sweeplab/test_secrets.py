import sys

import pytest

from sweeplab.secrets import (
    masked,
    masked_arguments,
    masked_command,
    masked_config,
    masked_values,
    masked_word,
    without_secrets,
)

SHOWN = {
    "postgresql://u:geheim@host/db": "postgresql://u:***@host/db",
    "postgresql+psycopg2://u:ge@he/im:1@host:5432/db": "postgresql+psycopg2://u:***@host:5432/db",
    "redis://:geheim@host:6379/0": "redis://:***@host:6379/0",
    "mysql://host/db?user=u&password=geheim&charset=utf8": "mysql://host/db?user=u&password=***&charset=utf8",
    "postgresql://host/db?sslmode=require&sslpassword=geheim": "postgresql://host/db?sslmode=require&sslpassword=***",
    "postgresql://host/db?PASSWORD=geheim'": "postgresql://host/db?PASSWORD=***'",
    "mssql+pyodbc:///?odbc_connect=UID%3Du%3BPWD%3Dgeheim": "mssql+pyodbc:///?odbc_connect=***",
    "postgresql://u:geheim@host/db?password=geheim": "postgresql://u:***@host/db?password=***",
    '-m \'hydra.sweeper.storage="mysql://u:ge"heim@host/db"\' seed=1': (
        "-m 'hydra.sweeper.storage=\"mysql://u:***@host/db\"' seed=1"
    ),
    "a://u:geheim@h,b://u2:geheim@h2": "a://u:***@h,b://u2:***@h2",
    "(psycopg2.OperationalError) postgresql://u:geheim@host/db is not there, nor a@b": (
        "(psycopg2.OperationalError) postgresql://u:***@host/db is not there, nor a@b"
    ),
}


@pytest.mark.parametrize(("text", "shown"), SHOWN.items())
def test_no_password_of_a_url_is_shown(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///sweeps.db",
        "http://127.0.0.1:8080/dashboard",
        "grpc://host:13000",
        "postgresql://u@host/db?sslmode=require",
        "postgresql://u:${oc.env:PASSWORD}@host/db",
        "postgresql://host/db?password=${oc.env:PASSWORD}",
        "mail to a:b@c",
        "https://pytorch.org/docs/stable/index.html",
    ],
)
def test_what_holds_no_password_stays(text: str) -> None:
    assert masked(text) == text


def test_values_are_masked_wherever_they_are_nested() -> None:
    url = "postgresql://u:geheim@host/db"
    assert masked_values({"a": [url, 1, None], "b": {"url": url}}) == {
        "a": ["postgresql://u:***@host/db", 1, None],
        "b": {"url": "postgresql://u:***@host/db"},
    }


@pytest.mark.parametrize("name", ["token", "api_key", "APIKEY", "hf_token", "my_secret", "db_password", "accesskey"])
def test_what_stands_under_the_name_of_a_secret_is_masked(name: str) -> None:
    assert masked_config({"logger": {"x": {name: "geheim"}}}) == {"logger": {"x": {name: "***"}}}
    assert masked_word(f"+logger.x.{name}=geheim") == f"+logger.x.{name}=***"
    assert masked_word(f"logger.x={{{name}: geheim, lr: 1}}") == f"logger.x={{{name}: ***, lr: 1}}"
    assert masked_command(f"python train.py a=1 'x.{name}=two words'") == f"python train.py a=1 'x.{name}=***'"


def test_what_holds_secrets_hides_all_that_it_holds() -> None:
    given = {"credentials": ["geheim", {"user": "me", "port": 8080}], "password": ["geheim"], "pwd": 123456}
    hidden = {"credentials": ["***", {"user": "***", "port": 8080}], "password": ["***"], "pwd": "***"}
    assert masked_config({"a": given}) == {"a": hidden}
    for word in (
        "secrets.mail=me",
        "+secrets={mail: me}",
        "credentials=[a,b]",
        "a.password=123456",
        "password=[a]",
        "hf_token=[hf-1]",
    ):
        assert masked_word(word) == word.partition("=")[0] + "=***"


@pytest.mark.parametrize(
    "word",
    [
        "name=''",
        'name=""',
        "x={a: ''}",
        "x='[1,2]'",
        "x='{a: b}'",
        "x=[1,2]",
        "x={a: [b, c]}",
        "text_key=[a]",
        "=",
        "a",
    ],
)
def test_a_word_without_a_secret_stays_as_it_was_typed(word: str) -> None:
    assert masked_word(word) == word
    assert masked_config([word], "hydra.overrides.task") == [word]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("credentials.timeout", 30),
        ("secrets.path", "/run/secrets"),
        ("secrets", None),
        ("use_password", True),
        ("repeat_key", "seed"),
        ("num_keys", 4),
        ("keys", ["a"]),
        ("key_dim", 8),
        ("token", None),
        ("token", 7),
        ("token", "${oc.env:MY_TOKEN}"),
        ("tokenizer", "gpt2"),
        ("pad_token", "<pad>"),
        ("eos_token", "end"),
        ("max_tokens", "10"),
        ("image_key", "jpg"),
        ("monitor", "val/key"),
        ("key", "image"),
        ("wait_key", "cache"),
        ("caption_key", "sentence"),
        ("token_mixer", "attention"),
        ("token_path", "/home/me/.token-1"),
        ("monitor_url", "http://host:8080/a@2x.png"),
        ("betas", (0.9, 0.999)),
    ],
)
def test_what_only_sounds_like_a_secret_stays(name: str, value: object) -> None:
    assert masked_config({"a": {name: value}}) == {"a": {name: value}}
    assert masked_word(f"a.{name}={value}") == f"a.{name}={value}"


def test_texts_in_hydras_own_part_are_searched() -> None:
    texts = {
        "+token=geheim,lr=1": "+token=***,lr=1",
        "a,secrets={b: me},x={y: [token: ab-1]}": "a,secrets=***,x={y: [token: ***]}",
    }
    for text, shown in texts.items():
        hydra = {"overrides": {"task": ["+token=geheim", "lr=1"]}, "job": {"override_dirname": text}}
        without = {"overrides": {"task": ["+token=***", "lr=1"]}, "job": {"override_dirname": shown}}
        config = {"hydra": hydra, "notes": "the key: value"}
        assert masked_config(config) == {"hydra": without, "notes": "the key: value"}


def test_a_secret_that_was_masked_is_known_in_other_texts() -> None:
    masked_config({"token": "sehr-geheim"})
    assert without_secrets("ValueError: sehr-geheim is no token") == "ValueError: *** is no token"


def test_those_who_record_the_command_line_see_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["train.py", "token=geheim"])
    with masked_arguments():
        assert sys.argv == ["train.py", "token=***"]
    assert sys.argv == ["train.py", "token=geheim"]
