"""Gather the pages of the site, which `make docs` builds: README.md as the first, docs/, the Python API.

Links to pages lead to pages. Links to other files of the repository lead to where it is hosted.
"""

import ast
import os
import re
import shutil
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "build" / "pages"  # docs_dir of zensical.toml
FROM_THE_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
PUBLIC = tuple(f"sweeplab{face}" for face in ("", ".callbacks", ".loggers", ".listeners", ".trainers", ".tasks"))
LINK = re.compile(r"(\[[\w./-]+\.md)?\]\((?!\w+:|#)([^)#\s]+)")
STATES = re.compile(r"```mermaid\nstateDiagram-v2\n(.*?)```", re.DOTALL)
TRANSITION = re.compile(r"^ +(\S+) --> (\w+): (.*)$", re.MULTILINE)


def main() -> None:
    """Write all pages anew."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(ROOT / "docs" / "pictures", PAGES / "pictures", ignore=shutil.ignore_patterns("*.py"))
    shutil.copy(ROOT / "docs" / "site.css", PAGES)
    pages = {path.relative_to(ROOT).as_posix(): path.name for path in ROOT.glob("docs/*.md")} | FROM_THE_ROOT
    for source, page in pages.items():
        (PAGES / page).write_text(STATES.sub(table, with_links(ROOT / source, pages)))
    (PAGES / "api").mkdir()
    for module in PUBLIC:
        (PAGES / "api" / f"{module.rpartition('.')[2]}.md").write_text(api(module))


def with_links(source: Path, pages: dict[str, str]) -> str:
    """Return the text of a page whose links are those of the site; where a path is shown, it is the title."""
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]

    def link(match: re.Match[str]) -> str:
        path = Path(os.path.normpath(source.parent / match[2]))
        target = path.relative_to(ROOT).as_posix()
        if target.startswith("docs/pictures/"):
            return f"]({target.removeprefix('docs/')}"
        text = match[1] or ""
        if target in pages:
            return f"{text and '[' + title(path)}]({pages[target]}"
        return f"{text}]({repository}/blob/main/{target}"

    return LINK.sub(link, source.read_text())


def title(page: Path) -> str:
    """Return the first heading of a page."""
    return page.read_text().partition("\n")[0].lstrip("# ")


def table(diagram: re.Match[str]) -> str:
    """Return the transitions of a drawing as a table: what draws Mermaid would be loaded from the network."""
    rows = (f"| {old.strip('[*]')} | {new} | {when} |" for old, new, when in TRANSITION.findall(diagram[1]))
    return "\n".join(["| from | to | when |", "| --- | --- | --- |", *rows])


def api(module: str) -> str:
    """Return the page of a public module, with a line for each name that the build makes its docstring of."""
    path = ROOT / "src" / module.replace(".", "/")
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())
    (names,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    parts = [f"# {module}", ast.get_docstring(tree) or "", *(f"::: {module}.{name}" for name in names)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
