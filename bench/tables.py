"""The tables of docs/benchmarks.md: which columns of which results each one has."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engines import ENGINES, OURS, TRAIN
from quality import WAYS
from result import Row, table

Rows = Sequence[Row]


@dataclass(frozen=True)
class Table:
    """The results that a table needs, and how it is written from their rows; without a fitting row it is empty."""

    results: tuple[str, ...]
    write: Callable[..., str]


def chosen(result: str, *columns: str, has: str = "") -> Table:
    """Return the table of these columns, of the rows that have a column `has`; columns without a value are left out."""

    def write(rows: Rows) -> str:
        noted = [row for row in rows if "note" in columns and row.get("note")]
        fit = [row for row in rows if row in noted or (has or columns[0]) in row]
        return table(fit, [name for name in columns if any(row.get(name) for row in fit)]) if fit else ""

    return Table((result,), write)


def crossed(result: str, keys: Sequence[str], by: str, cell: str, *further: str, **where: object) -> Table:
    """Return the table with a row for each value of the keys, and a column for each value of `by`.

    Only rows with the values of `where` count.
    """

    def write(rows: Rows) -> str:
        rows = [row for row in rows if all(row[key] == value for key, value in where.items())]
        lines: dict[tuple[object, ...], dict[str, object]] = {}
        for row in rows:
            line = lines.setdefault(tuple(row[key] for key in keys), {key: row[key] for key in keys})
            line[row[by]] = row.get("note") or row[cell]
            line |= {name: row[name] for name in further if row[name]}
        return table(list(lines.values()), [*keys, *dict.fromkeys(row[by] for row in rows), *further]) if lines else ""

    return Table((result,), write)


def story(start: Rows, step: Rows, trial: Rows, slots: Rows, quality: Rows) -> str:
    """Return the table of each engine's values and, in brackets, their ratios to ours; what beats ours is bold."""
    of_task = {
        task: [row for row in trial if row.get("task") == task] for task in ("noop", "lightning", "wandb", "memory")
    }
    first = [row for row in start if row["question"] == "first training step"]
    cnn = [row for row in step if (row["batch"], row["logger"]) == (128, "csv")]
    eight = [row for row in slots if (row["lengths"], row["slots"]) == ("log-normal", 8)]
    lines = {
        "from the command to its first training step, s": costs([one for row in first for one in _both(row)], "s"),
        "a training step, over a bare loop's": costs([one for row in cnn for one in _looped(row)], "ratio"),
        "a trial that does nothing, ms": costs(of_task["noop"], "each, ms"),
        "the smallest training by Lightning, ms": costs(of_task["lightning"], "each, ms"),
        "the same with W&B offline, ms": costs(of_task["wandb"], "each, ms"),
        "a further worker, MB": costs(of_task["memory"], "a worker, MB"),
        "8 slots in use, log-normal lengths": costs(eight, "use", more=True),
        "s to its final accuracy; ours to the same, with TPE and ASHA": duels(quality),
    }
    engines = [name for name in (*ENGINES, TEMPLATE) if any(name in cells for cells in lines.values())]
    rows = [{"": what, **cells} for what, cells in lines.items() if cells]
    return table(rows, ["", *engines]) if rows else ""


def _both(row: Row) -> Rows:
    theirs = {"engine": TEMPLATE, "s": row["template, s"], f"times {OURS}": row["ratio"]}
    return [{"engine": OURS, "s": row["ours, s"]}, theirs]


def _looped(row: Row) -> Rows:
    if row["model"] == "cnn":
        return [{"engine": OURS, "ratio": row["ratio"]}, {"engine": "bare loop", "ratio": 1.0}]
    return [{"engine": TEMPLATE, "ratio": row["ratio"]}] if row["model"] == "cnn, usual" else []


def costs(rows: Rows, column: str, more: bool = False) -> dict[str, str]:
    """Return each engine's cell; the less the better, or the `more`."""
    values = {row["engine"]: _number(row.get(column)) for row in rows if row["engine"] != TRAIN}
    paired = {row["engine"]: _number(row.get(f"times {OURS}")) for row in rows}  # ratios of neighbours in time
    ours, cells = values.get(OURS), {}
    for engine, value in values.items():
        if value is not None:
            ratio = value / ours if ours and paired[engine] is None else paired[engine]
            cells[engine] = _short(value) if engine == OURS or ratio is None else _cell(_short(value), ratio, more)
    return cells


def duels(quality: Rows) -> dict[str, str]:
    """Return when each engine's last way came to its final median, and when our last way came to that."""
    cells = {}
    for row in quality:
        if OUR_WAYS[-1] in row:
            engine = row["peer"].partition(":")[0]
            if row["there after, s"] is None:
                cells[engine] = "no value in time"
                continue
            there = _short(row["there after, s"])
            here, _, share = row[OUR_WAYS[-1]].partition(" s, ")
            cells[engine] = _cell(f"{there}; {here}", 1 / float(share), more=False) if share else f"**{there}; never**"
    return cells


def _cell(text: str, ratio: float, more: bool) -> str:
    told = f"{text} ({_short(ratio)})"
    return f"**{told}**" if (ratio > 1 if more else ratio < 1) else told


def _number(cell: object) -> float | None:
    """Return the number that a cell begins with."""
    match = re.match(r"\d+(\.\d+)?", str(cell))
    return float(match[0]) if match else None


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


OUR_WAYS = [way.name for way in WAYS if way.engine == OURS]
TEMPLATE = "usual template"
STUDY = ("storage", "sampler", "trials")
LOAD = ("gap, ms", "use", "controller, CPU ms a trial", "MB", "ask, ms", "to the first trial, s")
TABLES = {
    "story": Table(("start", "step", "trial", "slots", "quality"), story),
    "start": chosen("start", "question", "ours, s", "template, s", "ratio", "the import, s", has="question"),
    "step": chosen("step", "model", "batch", "logger", "ms", "bare ms", "ratio", "quartiles", "between, ms"),
    "slots": crossed("slots", ["lengths", "slots"], "engine", "use", "theory", slots=8),
    "quality": chosen("quality", "way", "trials, median", "final, median", "lowest", "highest", "note", has="lowest"),
    "scale": chosen("scale", *STUDY, *LOAD, has="gap, ms"),
    "compare": chosen("compare", "runs", "table, s", "table, MB", "page, s", "page, MB", "size, MB"),
}
