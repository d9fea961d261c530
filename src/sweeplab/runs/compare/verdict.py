"""Is the best configuration better than the next, or was it luck? One honest sentence."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from sweeplab.runs.compare.configurations import Configuration
from sweeplab.runs.compare.objective import Judge
from sweeplab.runs.compare.statistics import LEVEL, Difference, seeds_needed
from sweeplab.runs.names import short_keys, short_value
from sweeplab.runs.run import Run

WORDS = 4  # settings that a name is made of
SEEDS = "0,1,2,3,4"  # what we tell users to try
MANY = 1000  # seeds that nobody will run


def verdict(found: Sequence[Configuration], judge: Judge) -> str:
    """Say whether the best of several configurations can be told from the second; they come best first."""
    if len(found) < 2:
        return ""
    first, second = found[:2]
    names = called(first.settings, second.settings)
    difference = first.against(second)
    if judge.rank(difference.mean) > 0:  # under the seeds that both have it is the other way round
        names = names[1], names[0]
    if difference.p is None:
        return _too_few(difference, names, judge)
    if difference.p < 1 - LEVEL:
        return f"{names[0]} is better than {names[1]}: {evidence(difference, judge)}."
    return f"Not distinguishable with {seeds(difference)}: {names[0]} and {names[1]}. {_hint(difference, judge)}"


def once_each(best: Configuration, second: Configuration, judge: Judge) -> str:
    """Say that configurations were trained once each, and how to see what chance does to the best."""
    gap = abs(best.spread.mean - second.spread.mean)
    text = f"One seed each: the two best differ in {judge.metric} by {gap:.4g}, which may be chance."
    command = _under_seeds(best.runs[0])
    return f"{text} The best under five seeds: {command}" if command else text


def _under_seeds(run: Run) -> str:
    words = shlex.split(str(run.facts.get("command", "")))
    if not words or any(word.startswith(("resume=", "rerun=", "-")) for word in words):
        return ""
    kept = [word for word in words[2:] if not word.startswith(("seed=", "study=", "hydra.run.dir="))]
    return shlex.join([*words[:2], "-m", *kept, f"seed={SEEDS}"])


def evidence(difference: Difference, judge: Judge) -> str:
    """Say how much two configurations differ, how sure that is, and by what test."""
    how = f"paired over {seeds(difference)}" if difference.paired else "no common seeds, Welch's test"
    return (
        f"{judge.metric} by {abs(difference.mean):.4g} ({LEVEL:.0%} interval {_interval(difference)}, "
        f"p = {difference.p:.2g}, {how})"
    )


def seeds(difference: Difference) -> str:
    """Say how many seeds a difference rests on."""
    return f"{difference.count} seed{'' if difference.count == 1 else 's'}"


def called(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, str]:
    """Return short names of two configurations: what each has where they differ."""
    keys = [key for key in {**one, **other} if one.get(key, ...) != other.get(key, ...)]
    short = short_keys(keys)
    first, second = (
        [f"{short[key]}={short_value(settings[key])}" for key in keys if key in settings] for settings in (one, other)
    )
    return _brief(first), _brief(second)


def _brief(words: Sequence[str]) -> str:
    return " ".join([*words[:WORDS], *(["..."] if len(words) > WORDS else [])]) or "the other"


def _interval(difference: Difference) -> str:
    assert difference.low is not None
    assert difference.high is not None
    low, high = sorted(abs(bound) for bound in (difference.low, difference.high))
    if difference.low < 0 < difference.high:
        low, high = difference.low, difference.high
        if difference.mean < 0:
            low, high = -high, -low
    return f"{low:.4g} to {high:.4g}"


def _too_few(difference: Difference, names: tuple[str, str], judge: Judge) -> str:
    return (
        f"{names[0]} and {names[1]} differ in {judge.metric} by {abs(difference.mean):.4g}, but not both were trained "
        f"with several seeds: whether that is chance cannot be said; train both with seed={SEEDS}."
    )


def _hint(difference: Difference, judge: Judge) -> str:
    needed = seeds_needed(difference)
    text = f"They differ in {evidence(difference, judge)}"
    if needed is None:
        return f"{text}."
    more = f"more than {MANY:,}" if needed > MANY else f"about {needed}"
    return f"{text}; if that is real, {more} seeds would show it."
