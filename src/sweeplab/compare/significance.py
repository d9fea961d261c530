"""Is the best configuration better than the next, or was it luck? One honest sentence."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from sweeplab.compare.configurations import Configuration, differing
from sweeplab.compare.statistics import LEVEL, Difference, seeds_needed
from sweeplab.compare.table import plural, setting
from sweeplab.records.names import short_keys
from sweeplab.records.objective import Objective
from sweeplab.records.run import Run

WORDS = 4  # settings that a name is made of
SEEDS = 5  # what we tell users to try
MANY = 1000  # seeds that nobody will run


def significance(ranked: Sequence[Configuration], objective: Objective) -> str:
    """Say whether the best of several configurations can be told from the second; they come best first."""
    if len(ranked) < 2:
        return ""
    first, second = ranked[:2]
    better, worse = _names(first.settings, second.settings)
    difference = first.against(second)
    against_means = objective.rank(difference.mean) > 0
    if against_means:
        better, worse = worse, better
    if difference.p is None:
        return f"{better} and {worse} {_without_test(difference, objective)}"
    if difference.p < 1 - LEVEL:
        though = f" Under all their seeds the mean of {worse} is better." if against_means else ""
        return f"{better} is better than {worse}: {_evidence(difference, objective)}.{though}"
    return (
        f"Not distinguishable with {plural(difference.count, 'seed')}: {better} and {worse}. "
        f"They differ in {_evidence(difference, objective)}{_outlook(difference)}."
    )


def once_each(ranked: Sequence[Configuration], objective: Objective) -> str:
    """Say that configurations were trained once each, and how to see what chance does to the best."""
    if len(ranked) < 2:
        return ""
    best, second = ranked[:2]
    gap = abs(best.spread.mean - second.spread.mean)
    differ = f"differ in {objective.metric} by {gap:.4g}, which may be chance"
    text = f"One seed each: the two best {differ if gap else f'are equal in {objective.metric}'}."
    command = _under_new_seeds(best.runs[0])
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


def _names(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, str]:
    """Return short names of two configurations: what each has where they differ."""
    keys = differing(one, other)
    short = short_keys(keys)

    def name(settings: Mapping[str, Any]) -> str:
        words = [f"{short[key]}={setting(settings[key])}" for key in keys if key in settings]
        return " ".join([*words[:WORDS], *(["..."] if len(words) > WORDS else [])]) or "the other"

    return name(one), name(other)


def _evidence(difference: Difference, objective: Objective) -> str:
    """Say how much two configurations differ, how sure that is, and by what test."""
    seeds = plural(difference.count, "seed")
    test = f"paired over {seeds}" if difference.paired else "fewer than two common seeds, Welch's test"
    return (
        f"{objective.metric} by {abs(difference.mean):.4g} ({LEVEL:.0%} interval {_interval(difference)}, "
        f"p = {difference.p:.2g}, {test})"
    )


def _interval(difference: Difference) -> str:
    """Return the interval of the difference as a gap: of its size, whatever its sign."""
    assert difference.low is not None
    assert difference.high is not None
    sign = -1 if difference.mean < 0 else 1
    low, high = sorted((sign * difference.low, sign * difference.high))
    return f"{low:.4g} to {high:.4g}"


def _without_test(difference: Difference, objective: Objective) -> str:
    """Say of two configurations why no test tells them apart."""
    metric, gap, seeds = objective.metric, abs(difference.mean), plural(difference.count, "seed")
    if difference.sd is None:
        return (
            f"differ in {metric} by {gap:.4g}, but not both were trained with several seeds: "
            "whether that is chance cannot be said; train both under the same five."
        )
    if not gap:
        return f"have the same {metric} under each of {seeds}."
    return (
        f"differ in {metric} by {gap:.4g} under each of {seeds}: "
        "without any spread there is nothing to judge by; train more seeds."
    )


def _outlook(difference: Difference) -> str:
    """Say how many seeds would show a difference of this size."""
    needed = seeds_needed(difference)
    if needed is None:
        return ""
    more = f"more than {MANY:,}" if needed > MANY else f"about {needed}"
    return f"; if that is real, {more} seeds would show it"
