"""Fill docs/benchmarks.md from bench/results: `python bench/page.py`; with `--check`, only say what is old.

Prose is written by hand. A table stands between `<!-- table: NAME -->` and `<!-- end -->`, and under it the command,
the date, the machine and the versions that it is from. A result that is missing leaves its tables as they are.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from engines import ROOT
from figure import draw, mark
from result import RESULTS
from tables import TABLES

from sweeplab.records.files import write_text

MARKER = re.compile(r"^(<!-- (?:table: .*|end) -->)$", re.MULTILINE)
END = "<!-- end -->"
PICTURE = "pictures/benchmarks.svg"


def parts(page: str) -> list[str]:
    """Cut a page at its markers: prose, a table's marker, the table, the end's marker, prose, and so on."""
    pieces = MARKER.split(page)
    for one, other in pairwise([END, *pieces[1::2], "the end of the page"]):
        if (one == END) == (other == END):
            sys.exit(f"{one} is followed by {other}: each <!-- table: NAME --> has an {END} of its own")
    return pieces


def read(*names: str) -> list[dict[str, Any]]:
    """Return results, or none of them where one is missing."""
    paths = [RESULTS / f"{name}.json" for name in names]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths] if all(p.exists() for p in paths) else []


def written(name: str, told: set[str]) -> str:
    """Return a table with what it is from, or nothing, and say so, where the results do not have it.

    Of a result in `told` the versions stand further up on the page; what this table tells is added there.
    """
    if name not in TABLES:
        sys.exit(f"there is no table {name}; there are {', '.join(TABLES)}")
    results = read(*TABLES[name].results)
    text = TABLES[name].write(*(result["rows"] for result in results)) if results else ""
    if not text:
        print(f"table {name} stays as it is: no figures in {RESULTS}", file=sys.stderr)
        return ""
    known = set(TABLES[name].results) <= told
    if len(results) == 1:
        told.update(TABLES[name].results)
    below = f"<sub>From the same run of `{results[0]['command']}`.</sub>" if known else source(results)
    return f"\n\n{text}\n\n{below}\n\n"


def source(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the line that says what figures are from; what holds for several results is said once."""
    facts: list[str] = []
    for result in results:
        machine = result["machine"]
        facts += [f"`{result['command']}`, {result['date'][:10]}", f"{machine['cpu']}, {machine['cores']} cores"]
        facts += versions(result["versions"])
    return f"<sub>{'; '.join(dict.fromkeys(facts))}.</sub>"


def versions(found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the versions of the first engine, and what others have that it has not."""
    first: Mapping[str, str] = next(iter(found.values()), {})
    differing: dict[str, list[str]] = {}
    for engine, packages in found.items():
        told = ", ".join(f"{name} {version}" for name, version in packages.items() if first.get(name) != version)
        if told:
            differing.setdefault(told, []).append(engine)
    own = ", ".join(f"{name} {version}" for name, version in first.items())
    return [own, *(f"{' and '.join(engines)}: {told}" for told, engines in differing.items())]


def main() -> None:
    """Rewrite the page and its picture, or say what is old."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 where something is old")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "benchmarks.md")
    options = parser.parse_args()
    pieces, old, told = parts(options.page.read_text(encoding="utf-8")), list[str](), set[str]()
    for index in range(1, len(pieces), 4):
        name = pieces[index].removeprefix("<!-- table: ").removesuffix(" -->")
        text = written(name, told)
        if text not in ("", pieces[index + 1]):
            old.append(f"table {name}")
            pieces[index + 1] = text
    page, picture = "".join(pieces), options.page.parent / PICTURE
    drawn = read("quality", "trial") if PICTURE in page else []
    if drawn and not (picture.exists() and mark(*drawn) in picture.read_text(encoding="utf-8")):
        old.append(PICTURE)
    if options.check:
        sys.exit(f"old: {', '.join(old)}; python bench/page.py writes them anew" if old else 0)
    if PICTURE in old:
        picture.parent.mkdir(exist_ok=True)
        write_text(picture, draw(*drawn))
    write_text(options.page, page)
    print(f"written anew: {', '.join(old) or 'nothing'}")


if __name__ == "__main__":
    main()
