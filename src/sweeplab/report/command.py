"""`python compare.py`: what the user asked for, done."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Never

from sweeplab.compare import export
from sweeplab.compare.comparison import MODES, Comparison, compare
from sweeplab.compare.configurations import SEED
from sweeplab.compare.tables import changes_table, differences_table, groups_table, runs_table, summary
from sweeplab.errors import UserError, did_you_mean
from sweeplab.records.files import write_text
from sweeplab.records.found import Found, find
from sweeplab.records.study import Study, studies_of

if TYPE_CHECKING:
    from sweeplab.compare.configurations import Configuration
    from sweeplab.compare.table import Table

TOP = 20
PAPER = 160  # characters a line where there is no terminal
FILES = ("csv", "json", "markdown", "html")
# Options that would do nothing beside each other.
NOT_WITH = {
    "diff": ("filter", "sort", "reverse", "metric", "mode", "by", "columns", "against", *FILES),
    "by": ("sort", "reverse", "columns", "against"),
}
NAMED = 10  # skipped folders that are named one by one


def main(description: str, arguments: Sequence[str]) -> None:
    """Compare runs as the arguments say.

    Raises:
        UserError: they cannot be followed.
    """
    parser = _parser(description)
    if not arguments:
        parser.print_help()
        return
    options = parser.parse_args(arguments)
    _check(options)
    found = find(options.place)
    if options.diff:
        if len(found.runs) != 2:
            raise UserError(f"--diff needs two runs, and there are {len(found.runs)}; name the folders of two.")
        _print([differences_table(*found.runs)], "", found)
        return
    studies = studies_of((run.folder for run in found.runs), found.skipped)
    study = next(iter(studies.values())) if len(studies) == 1 else None
    seed_keys = list(dict.fromkeys([SEED, *(each.seed_key for each in studies.values())]))
    comparison = compare(
        found.runs, options.filter, options.metric, options.mode, options.sort, options.reverse, seed_keys
    )
    tables, significance = _tables(comparison, study, options)
    _write(comparison, study, tables, significance, options)
    _print(tables, significance, found)


def _check(options: argparse.Namespace) -> None:
    """Find options that would be without effect, and files that cannot be written to."""
    given = [name for name, value in vars(options).items() if name != "place" and value not in (None, False, "", [])]
    for one, others in NOT_WITH.items():
        if one in given and (clash := [name for name in given if name in others]):
            raise UserError(f"--{one} and --{clash[0]} do not go together; remove one of them.")
    if options.top < 0:
        raise UserError(f"--top {options.top} must be a whole number from 0, where 0 shows all.")
    for name in FILES:
        if (path := getattr(options, name)) and path.is_dir():
            raise UserError(f"--{name} {path} is a folder; name a file in it.")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as all commands here do."""

    def error(self, message: str) -> Never:
        words = [word for word in message.split() if word.startswith("-")]
        options = [option for action in self._actions for option in action.option_strings]
        hint = did_you_mean(words[0].split("=")[0], options) if message.startswith("unrecognized") and words else "."
        raise UserError(f"{message}{hint}")


def _parser(description: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python compare.py",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("place", nargs="+", help="folders of runs or studies, folders of many, or patterns such as 'outputs/2026-*'")
    add("--filter", action="append", default=[], metavar="COND", help="only runs that match: model=cnn,mlp  lr<1e-3")
    add("--sort", metavar="FIELD", help="order of the runs; by default the best are first")
    add("--reverse", action="store_true", help="in reverse order")
    add("--top", type=int, default=TOP, metavar="N", help=f"how many rows to show; {TOP} by default, 0 for all")
    add("--metric", help="compare by this metric instead of the objective, such as test/acc")
    add("--mode", choices=MODES, help="the direction of the metric, if that is not clear")
    add("--by", metavar="FIELDS", help="one row per group: --by model,data")
    add("--columns", default="", metavar="FIELDS", help="what to show of each run: --columns val/acc,lr,seconds")
    add("--against", metavar="RUN", help="what each change is worth, against the configuration of this run's folder")
    add("--diff", action="store_true", help="where two runs differ")
    add("--csv", type=Path, metavar="FILE", help="all runs with all metrics, not rounded")
    add("--json", type=Path, metavar="FILE", help="the same as JSON, with the statistics")
    add("--markdown", type=Path, metavar="FILE", help="the tables as Markdown")
    add("--html", type=Path, metavar="FILE", help="one page with all plots that opens offline")
    return parser


def _tables(comparison: Comparison, study: Study | None, options: argparse.Namespace) -> "tuple[list[Table], str]":
    """Return the tables that are asked for, and what is said of the two best."""
    top = options.top or None
    if options.by:
        return [groups_table(comparison, options.by.split(","), top)], ""
    runs = runs_table(comparison, top, [word for word in options.columns.split(",") if word])
    if options.against is not None:
        return [runs, changes_table(comparison, _named_base(comparison, options.against))], ""
    tables, significance = summary(comparison, study, top)
    return [runs, *tables], significance


def _named_base(comparison: Comparison, name: str) -> "Configuration":
    """Return the one configuration that a user names by the folder of a run, or of a trial with its repeats."""
    folder = Path(name).resolve()
    inside = [run for run in comparison.runs if folder in (run.folder.resolve(), *run.folder.resolve().parents)]
    if not inside:
        raise UserError(f"--against {name} is none of the runs compared; name the folder of one of them.")
    base, *others = [comparison.configuration_of(run) for run in inside]
    if any(other is not base for other in others):
        raise UserError(f"--against {name} holds several configurations; name the folder of one run.")
    if base is None:
        metric = comparison.objective.metric
        raise UserError(f"{name} is {inside[0].status} and has no {metric}; name a complete run as the base.")
    return base


def _write(
    comparison: Comparison,
    study: Study | None,
    tables: "Sequence[Table]",
    significance: str,
    options: argparse.Namespace,
) -> None:
    """Write the files that are asked for."""
    if options.csv:
        _write_file(options.csv, export.as_csv(comparison))
    if options.json:
        _write_file(options.json, export.as_json(comparison, tables, significance))
    if options.markdown:
        _write_file(options.markdown, export.as_markdown(tables, significance))
    if options.html:
        from sweeplab.report.page import page

        objective = comparison.objective if options.metric or options.mode else None
        _write_file(options.html, page(comparison.runs, study, options.html.parent, objective=objective))


def _write_file(path: Path, text: str) -> None:
    """Write a file whole; what is no regular file, such as a pipe, is written to as it is."""
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            write_text(path, text)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from error
    sys.stderr.write(f"Written to {path}\n")


def _print(tables: "Sequence[Table]", significance: str, found: Found) -> None:
    from rich.console import Console

    columns = shutil.get_terminal_size((PAPER, 24)).columns
    console = Console(highlight=False, markup=False, width=columns if sys.stdout.isatty() else PAPER)
    for table in tables:
        console.print(table.rich(console.width))
        console.print()
    if significance:
        console.print(significance, soft_wrap=True)
    for folder, reason in found.skipped[:NAMED]:
        console.print(f"Skipped {folder}: {reason}", style="dim", soft_wrap=True)
    if len(found.skipped) > NAMED:
        console.print(f"Skipped {len(found.skipped) - NAMED} more.", style="dim")
