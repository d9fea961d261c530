import pytest

from sweeplab.secrets import masked, masked_values

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
