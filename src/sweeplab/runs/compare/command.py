"""`python compare.py`: what the user asked for, done."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Never

from sweeplab.errors import UserError, did_you_mean
from sweeplab.runs.compare import export, views
from sweeplab.runs.compare.comparison import Comparison, compare
from sweeplab.runs.compare.configurations import SEED
from sweeplab.runs.compare.objective import MODES
from sweeplab.runs.compare.verdict import once_each, verdict
from sweeplab.runs.files import write_text
from sweeplab.runs.found import Found, find
from sweeplab.runs.study import Study, studies_of

if TYPE_CHECKING:
    from rich.console import Console

    from sweeplab.runs.compare.table import Table
    from sweeplab.runs.run import Run

TOP = 20
PAPER = 160  # characters a line where there is no terminal
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
    found = find(options.place)
    if options.diff:
        tables, said = [views.differences_table(*_pair(found))], ""
    else:
        studies = studies_of(run.folder for run in found.runs)
        comparison = _compare(found, studies, options)
        tables, said = _tables(comparison, studies, options)
        _write(comparison, studies, tables, said, options)
    _show(tables, said, found)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as all commands here do."""

    def error(self, message: str) -> Never:
        words = [word for word in message.split() if word.startswith("-")]
        known = [option for action in self._actions for option in action.option_strings]
        hint = did_you_mean(words[0].split("=")[0], known) if message.startswith("unrecognized") and words else "."
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
    add(
        "--filter", action="append", default=[], metavar="COND", help="keep runs where it holds: model=cnn,mlp  lr<1e-3"
    )
    add("--sort", metavar="FIELD", help="order of the runs; by default the best are first")
    add("--reverse", action="store_true", help="the other way round")
    add("--top", type=int, default=TOP, metavar="N", help=f"show so many rows; {TOP} by default, 0 for all")
    add("--metric", help="compare by this one instead of the objective, such as test/acc")
    add("--mode", choices=MODES, help="where the metric should go, if that is not clear")
    add("--by", metavar="FIELDS", help="one row a group: --by model,data")
    add("--columns", default="", metavar="FIELDS", help="what is shown of each run: --columns val/acc,lr,seconds")
    add("--against", metavar="RUN", help="what each change is worth, against the configuration of this run's folder")
    add("--diff", action="store_true", help="where two runs differ")
    add("--csv", type=Path, metavar="FILE", help="all runs with all metrics, not rounded")
    add("--json", type=Path, metavar="FILE", help="the same as data, with the statistics")
    add("--markdown", type=Path, metavar="FILE", help="the tables below for a page")
    add("--html", type=Path, metavar="FILE", help="one page with all plots that opens offline")
    return parser


def _compare(found: Found, studies: "dict[Path, Study]", options: argparse.Namespace) -> Comparison:
    seed_keys = list(dict.fromkeys([SEED, *(study.seed_key for study in studies.values())]))
    return compare(found.runs, options.filter, options.metric, options.mode, options.sort, options.reverse, seed_keys)


def _tables(
    comparison: Comparison, studies: "dict[Path, Study]", options: argparse.Namespace
) -> "tuple[list[Table], str]":
    top = options.top or None
    if options.by:
        return [views.groups_table(comparison, options.by.split(","))], ""
    if base := _base(comparison, studies, options.against):
        return [views.changes_table(comparison, views.base_of(comparison, base))], ""
    columns = [word for word in options.columns.split(",") if word]
    runs = views.runs_table(comparison, top, columns)
    found = comparison.configurations
    if not comparison.over_seeds or columns:
        return [runs], once_each(found[0], found[1], comparison.judge) if len(found) > 1 and not columns else ""
    return [runs, views.configurations_table(comparison, top)], verdict(found, comparison.judge)


def _base(comparison: Comparison, studies: "dict[Path, Study]", wanted: str | None) -> "Run | None":
    """Return the run that changes are judged against: the one named, or the first trial of an ablation."""
    if wanted is None:
        alone = len(studies) == 1 and next(iter(studies.values())).one_at_a_time
        first = [run for run in comparison.runs if run.number == 0]
        return first[0] if alone and first else None
    place = Path(wanted).resolve()
    inside = [run for run in comparison.runs if place in (run.folder.resolve(), *run.folder.resolve().parents)]
    if not inside:
        raise UserError(f"--against {wanted} is none of the runs compared; name the folder of one of them.")
    return inside[0]


def _pair(found: Found) -> "tuple[Run, Run]":
    if len(found.runs) != 2:
        raise UserError(f"--diff needs two runs, and there are {len(found.runs)}; name the folders of two.")
    return found.runs[0], found.runs[1]


def _write(
    comparison: Comparison,
    studies: "dict[Path, Study]",
    tables: "Sequence[Table]",
    said: str,
    options: argparse.Namespace,
) -> None:
    if options.csv:
        write_text(options.csv, export.as_csv(comparison))
    if options.json:
        write_text(options.json, export.as_json(comparison, said))
    if options.markdown:
        write_text(options.markdown, export.as_markdown(tables, said))
    if options.html:
        from sweeplab.runs.report import write_report

        study = next(iter(studies.values())) if len(studies) == 1 else None
        write_report(options.html, comparison.runs, study)
    for path in (options.csv, options.json, options.markdown, options.html):
        if path:
            sys.stderr.write(f"Written to {path}\n")


def _show(tables: "Sequence[Table]", said: str, found: Found) -> None:
    console = _console()
    for table in tables:
        console.print(table.rich(console.width))
        console.print()
    if said:
        console.print(said, soft_wrap=True)
    for folder, reason in found.skipped[:NAMED]:
        console.print(f"Skipped {folder}: {reason}", style="dim", soft_wrap=True)
    if len(found.skipped) > NAMED:
        console.print(f"Skipped {len(found.skipped) - NAMED} more.", style="dim")


def _console() -> "Console":
    from rich.console import Console

    columns = shutil.get_terminal_size((PAPER, 24)).columns
    return Console(highlight=False, markup=False, width=columns if sys.stdout.isatty() else PAPER)
