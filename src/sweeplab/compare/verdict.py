"""Is the best configuration better than the next, or was it luck? One honest sentence."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from sweeplab.compare.configurations import Configuration
from sweeplab.compare.statistics import LEVEL, Difference, seeds_needed
from sweeplab.records.names import short_keys, short_value
from sweeplab.records.objective import Objective
from sweeplab.records.run import Run

WORDS = 4  # settings that a name is made of
SEEDS = 5  # what we tell users to try
MANY = 1000  # seeds that nobody will run


def verdict(found: Sequence[Configuration], judge: Objective) -> str:
    """Say whether the best of several configurations can be told from the second; they come best first."""
    if len(found) < 2:
        return ""
    first, second = found[:2]
    names = called(first.settings, second.settings)
    difference = first.against(second)
    against_means = judge.rank(difference.mean) > 0
    if against_means:
        names = names[1], names[0]
    if difference.p is None:
        return _no_evidence(difference, names, judge)
    if difference.p < 1 - LEVEL:
        though = f" Under all their seeds the mean of {names[1]} is better." if against_means else ""
        return f"{names[0]} is better than {names[1]}: {evidence(difference, judge)}.{though}"
    return f"Not distinguishable with {seeds(difference)}: {names[0]} and {names[1]}. {_hint(difference, judge)}"


def once_each(best: Configuration, second: Configuration, judge: Objective) -> str:
    """Say that configurations were trained once each, and how to see what chance does to the best."""
    gap = abs(best.spread.mean - second.spread.mean)
    differ = f"differ in {judge.metric} by {gap:.4g}, which may be chance" if gap else f"are equal in {judge.metric}"
    command = _under_new_seeds(best.runs[0])
    text = f"One seed each: the two best {differ}."
    return f"{text} The best under {SEEDS} new seeds: {command}" if command else text


def _under_new_seeds(run: Run) -> str:
    """Return the command of a sweep over seeds other than the one that the run was chosen by."""
    try:
        words = shlex.split(str(run.facts.get("command", "")))
    except ValueError:  # no command of ours
        return ""
    if not words or any(word.startswith(("resume=", "rerun=", "-")) for word in words):
        return ""
    kept = [word for word in words[2:] if not word.startswith(("seed=", "study=", "hydra.run.dir="))]
    new = [seed for seed in range(SEEDS + 1) if seed != run.seed][:SEEDS]
    return shlex.join([*words[:2], "-m", *kept, f"seed={','.join(map(str, new))}"])


def evidence(difference: Difference, judge: Objective) -> str:
    """Say how much two configurations differ, how sure that is, and by what test."""
    how = f"paired over {seeds(difference)}" if difference.paired else "hardly a common seed, Welch's test"
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


def _no_evidence(difference: Difference, names: tuple[str, str], judge: Objective) -> str:
    if difference.sd == 0.0 and not difference.mean:
        return f"{names[0]} and {names[1]} have the same {judge.metric} under each of {seeds(difference)}."
    if difference.sd == 0.0:
        return (
            f"{names[0]} and {names[1]} differ in {judge.metric} by {abs(difference.mean):.4g} under each of "
            f"{seeds(difference)}: without any spread there is nothing to judge by; train more seeds."
        )
    return (
        f"{names[0]} and {names[1]} differ in {judge.metric} by {abs(difference.mean):.4g}, but not both were trained "
        "with several seeds: whether that is chance cannot be said; train both under the same five."
    )


def _hint(difference: Difference, judge: Objective) -> str:
    needed = seeds_needed(difference)
    text = f"They differ in {evidence(difference, judge)}"
    if needed is None:
        return f"{text}."
    more = f"more than {MANY:,}" if needed > MANY else f"about {needed}"
    return f"{text}; if that is real, {more} seeds would show it."
