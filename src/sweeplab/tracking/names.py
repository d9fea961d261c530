"""What a trial is called in W&B: its run's id and name, and its columns in the table of runs."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sweeplab.sweep.trial import Trial

LONGEST = 80  # characters of a name; the table of runs shows fewer
OURS = ("study", "trial", "repeat", "point")


def run_id(name: str) -> str:
    """Return a name without the characters that W&B refuses in an id."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return a short word for each key: its last part, or as many as tell it from the others, joined by `_`."""
    parts = {key: tuple(re.split(r"[./@]", key)) for key in keys}
    return {key: _shortest(own, list(parts.values())) for key, own in parts.items()}


def _shortest(own: tuple[str, ...], every: Sequence[tuple[str, ...]]) -> str:
    for length in range(1, len(own) + 1):
        word = "_".join(own[-length:])
        if word not in OURS and sum(other[-length:] == own[-length:] for other in every) == 1:
            return word
    return "_".join(own) + "_" * ("_".join(own) in OURS)


def columns(trial: Trial) -> dict[str, Any]:
    """Return what the run's configuration holds of its trial: study, number, and each parameter under a short word.

    `point` is the same for all runs that differ in their seed only: what the dashboard groups by to average over seeds.
    """
    short = short_keys([*trial.searched, *trial.params])
    varied = {key: value for key, value in trial.params.items() if key != trial.seed_key}
    facts: dict[str, Any] = {"study": trial.study, "trial": trial.number, "repeat": trial.repeat}
    facts["point"] = " ".join(f"{short[key]}={value}" for key, value in varied.items()) or "all"
    return facts | {short[key]: value for key, value in trial.params.items()}


def run_name(title: str | None, trial: Trial) -> str:
    """Return a name such as `cnn #12 lr=3e-4 channels=32`: a title, the number, and what varies."""
    short = short_keys([*trial.searched, *trial.params])
    varied = {key: value for key, value in trial.params.items() if value != title}
    number = f"#{trial.number}" + (f".{trial.repeat}" if trial.repeat else "")
    said = [f"{short[key]}={short_value(value)}" for key, value in varied.items()]
    words = [*([title] if title else []), number, *said]
    while len(words) > 2 and len(" ".join(words)) > LONGEST:
        words = [*words[:-1], "..."] if words[-1] != "..." else [*words[:-2], "..."]
    return " ".join(words)


def short_value(value: Any) -> str:
    """Return a value in few characters: 0.00031 is `3.1e-4`, to three digits."""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    text = f"{value:.3g}"
    if "e" not in text and value and abs(value) < 1e-2:
        text = f"{value:.2e}"
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return text
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}"
