"""`python compare.py`: what the user asked for, done."""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Never

from sweeplab.compare import export
from sweeplab.compare.changes import ablation_base, base_of, changes_table
from sweeplab.compare.comparison import Comparison, compare
from sweeplab.compare.configurations import SEED
from sweeplab.compare.differences import differences_table
from sweeplab.compare.objective import MODES
from sweeplab.compare.over_seeds import configurations_table, groups_table
from sweeplab.compare.runs_table import runs_table
from sweeplab.compare.verdict import once_each, verdict
from sweeplab.errors import UserError, did_you_mean
from sweeplab.records.files import write_text
from sweeplab.records.found import Found, find
from sweeplab.records.study import Study, studies_of

if TYPE_CHECKING:
    from rich.console import Console

    from sweeplab.compare.configurations import Configuration
    from sweeplab.compare.table import Table
    from sweeplab.records.run import Run

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
        _show([differences_table(*_pair(found))], "", found)
        return
    studies = studies_of((run.folder for run in found.runs), found.skipped)
    comparison = _compare(found, studies, options)
    tables, said = _tables(comparison, studies, options)
    _write(comparison, studies, tables, said, options)
    _show(tables, said, found)


def _check(options: argparse.Namespace) -> None:
    """Find options that would be without effect, and places that cannot be written to."""
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
        return [groups_table(comparison, options.by.split(","), top)], ""
    columns = [word for word in options.columns.split(",") if word]
    runs = runs_table(comparison, top, columns)
    if (named := options.against) is not None:
        return [runs, changes_table(comparison, _named_base(comparison, named))], ""
    found, first = comparison.configurations, ablation_base(comparison, _only(studies))
    if first is not None:
        base = base_of(comparison, first)
        return ([runs, changes_table(comparison, base)], "") if base else ([runs], "No run of the base is complete.")
    if comparison.over_seeds:
        return [runs, configurations_table(comparison, top)], verdict(found, comparison.judge)
    return [runs], once_each(found[0], found[1], comparison.judge) if len(found) > 1 else ""


def _only(studies: "dict[Path, Study]") -> "Study | None":
    return next(iter(studies.values())) if len(studies) == 1 else None


def _named_base(comparison: Comparison, wanted: str) -> "Configuration":
    """Return the one configuration that a user names by the folder of a run, or of a trial with its repeats."""
    place = Path(wanted).resolve()
    inside = [run for run in comparison.runs if place in (run.folder.resolve(), *run.folder.resolve().parents)]
    if not inside:
        raise UserError(f"--against {wanted} is none of the runs compared; name the folder of one of them.")
    bases = [base_of(comparison, run) for run in inside]
    if any(base is not bases[0] for base in bases):
        raise UserError(f"--against {wanted} holds several configurations; name the folder of one run.")
    if bases[0] is None:
        raise UserError(
            f"{wanted} is {inside[0].status} and has no {comparison.judge.metric}; name a complete run as the base."
        )
    return bases[0]


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
    makers: dict[str, Callable[[], str]] = {
        "csv": lambda: export.as_csv(comparison),
        "json": lambda: export.as_json(comparison, tables, said),
        "markdown": lambda: export.as_markdown(tables, said),
        "html": lambda: _page(comparison, studies, options),
    }
    for name, make in makers.items():
        if path := getattr(options, name):
            _put(path, make())


def _page(comparison: Comparison, studies: "dict[Path, Study]", options: argparse.Namespace) -> str:
    from sweeplab.report.page import page

    by = comparison.judge if options.metric or options.mode else None
    return page(comparison.runs, _only(studies), options.html.parent, by=by)


def _put(path: Path, text: str) -> None:
    """Write a file whole; what is no regular file, such as a pipe, is written to as it is."""
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            write_text(path, text)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from error
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
