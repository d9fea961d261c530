"""What a measurement leaves: a table to read, and bench/results/<name>.json with the versions and the machine.

The results in bench/results are those that docs/benchmarks.md tells; $BENCH_RESULTS is the folder for others.
"""

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from engines import ENGINES

RESULTS = Path(os.environ.get("BENCH_RESULTS", Path(__file__).resolve().parent / "results"))
Row = Mapping[str, Any]


def machine() -> dict[str, Any]:
    """Return what the figures depend on, the load before the measurement included."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0].partition(": ")[2] if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": platform.platform(),
        "load": os.getloadavg(),
    }


def save(name: str, rows: Sequence[Row], begun: Mapping[str, Any], engines: Sequence[str] = ()) -> None:
    """Write the rows with the command, the date, the machine as it was before, and each engine's versions."""
    facts = {
        "command": shlex.join(["python", f"bench/{name}.py", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": begun,
        "versions": {engine: ENGINES[engine].versions() for engine in engines if ENGINES[engine].there},
        "rows": list(rows),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(facts, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    print(f"-> {os.path.relpath(path)}")


def table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Return the rows as a Markdown table of these columns."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_cell(row.get(column)) for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median of repeats and, behind it, the least and the most."""
    if not values:
        return "-"
    middle, least, most = (f"{value:.{digits}f}" for value in (median(values), min(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({least} to {most})"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
