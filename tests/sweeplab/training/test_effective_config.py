import pytest

from tests.conftest import Compose

# Turned round, or the record of what is not committed would have them while this file is changed.
ENV, PLAIN, DIGITS = (word[::-1] for word in ("tnemnorivne-eht-fo-terc3s", "nialp-ni-terc3s", "54321006789"))
SECRETS = (
    "+token=${oc.env:MY_TOKEN}",
    "+other=${token}",
    f"+api_key={PLAIN}",
    f"+url=postgresql://u:{PLAIN}@host/db",
    f"+mail.password={DIGITS}",
    f"+secrets={{mail: {PLAIN}, others: [{PLAIN}, {DIGITS}]}}",
)


def test_the_run_itself_has_what_was_given(configured: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    from sweeplab.training.effective_config import effective_config

    monkeypatch.setenv("MY_TOKEN", ENV)
    config = effective_config(configured(*SECRETS, "+workers='${oc.decode:${oc.env:WORKERS,3}}'"), [])
    assert (config.token, config.other, config.api_key, config.workers) == (ENV, ENV, PLAIN, 3)
    monkeypatch.setenv("MY_TOKEN", "later")
    assert config.other == "later"
