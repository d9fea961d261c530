from typing import Any

import pytest

from sweeplab.records.earlier import upgraded_facts, upgraded_override, upgraded_settings


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("label_smoothing=0.1", "task.label_smoothing=0.1"),
        ("+metrics.f1=null", "+task.metrics.f1=null"),
        ("~callbacks.samples", "~task.callbacks.samples"),
        ("callbacks.best.mode=min", "callbacks.best.mode=min"),
        ("model=cnn", "model=cnn"),
    ],
)
def test_overrides_of_version_1_are_as_this_version_takes_them_and_stay_so(before: str, now: str) -> None:
    assert upgraded_override(before) == now
    assert upgraded_override(now) == now


def test_a_record_without_a_format_is_of_version_1() -> None:
    facts: dict[str, Any] = {
        "overrides": ["compile=true"],
        "metrics": {"val/acc": 0.5, "test/acc": 0.4},
        "attempts": [{"format": 2, "overrides": ["compile=true"]}],
    }
    upgraded = upgraded_facts(facts)
    assert upgraded["overrides"] == ["task.compile=true"]
    assert upgraded["attempts"][0]["overrides"] == ["compile=true"]  # a key of somebody's own by then
    assert upgraded["test"] == ["test/acc"]


def test_a_record_of_this_version_stays_as_it_is() -> None:
    facts = {"format": 2, "overrides": ["compile=true"], "metrics": {"test/acc": 0.4}}
    assert upgraded_facts(dict(facts)) == facts


def test_a_study_from_before_a_key_was_there_had_what_the_key_says_without_being_set() -> None:
    before = {"seed": "0", "callbacks.summary._target_": "lightning.pytorch.callbacks.RichModelSummary"}
    now = {"seed": "0", "freeze": "[]", "logger.csv._target_": "sweeplab.loggers.CSVLogger"}
    now |= {"callbacks.summary._target_": "sweeplab.callbacks.ModelSummary"}
    assert upgraded_settings(before, now) == now
    frozen = now | {"freeze": "['encoder.*']"}
    assert upgraded_settings(before, frozen) == {key: value for key, value in now.items() if key != "freeze"}
