"""Make a release of the version in pyproject.toml: `make release`. It changes nothing outside this machine.

The tree is committed, CHANGELOG.md has a section of the version with today's date, and all checks pass. Then the sdist
and the wheel are in dist/, the wheel has answered in an empty environment, and the commit has the version's tag.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
STEPS = ("check", "test", "install")


def main() -> None:
    """Release, or say in one sentence what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skip", nargs="+", choices=STEPS, default=[], help="for tests of this script only")
    parser.add_argument("--today", default=date.today().isoformat(), help="the date that the changelog has to have")
    asked = parser.parse_args()
    skipped = asked.skip
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version, tag = project["version"], f"v{project['version']}"
    if "/OWNER/" in project["urls"]["Repository"]:
        sys.exit("release: write the repository's address in pyproject.toml, in place of OWNER.")
    if output("git", "status", "--porcelain"):
        sys.exit("release: there are uncommitted changes; commit them first.")
    if output("git", "tag", "--list", tag):
        sys.exit(f"release: {tag} exists already; raise the version in pyproject.toml.")
    notes = changes(f"## [{version}] - {asked.today}")
    for target in ("check", "test"):
        if target not in skipped:
            run("make", target)
    packages = build()
    if "install" not in skipped:
        install(next(path for path in packages if path.suffix == ".whl"))
    run("git", "tag", "--annotate", tag, "--cleanup=verbatim", "--message", f"{project['name']} {version}\n\n{notes}\n")
    paths = " ".join(path.relative_to(ROOT).as_posix() for path in packages)
    sys.stdout.write(
        f"\n{tag} is tagged here, and its packages are in dist/. To publish them:\n\n"
        f"    git push origin HEAD {tag}\n"
        f"    {Path(sys.executable).with_name('twine')} upload {paths}\n"
    )


def changes(heading: str) -> str:
    """Return what the changelog says below this heading of a version and its date."""
    sections = re.split(r"^(?=## )", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    found = [section for section in sections if section.startswith(f"{heading}\n")]
    if not found or not (text := found[0].removeprefix(heading).strip()):
        sys.exit(f"release: CHANGELOG.md has no section '{heading}'; name what was 'Unreleased' so.")
    return text


def build() -> list[Path]:
    """Build the sdist, and from it the wheel; check what an index would show of them."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", str(DIST))
    packages = sorted(DIST.iterdir())
    run(sys.executable, "-m", "twine", "check", "--strict", *map(str, packages))
    return packages


def install(wheel: Path) -> None:
    """Install the wheel in an empty environment, whose command then answers, and whose sweeper Hydra finds."""
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "venv", folder)
        programs = Path(folder) / "bin"
        run(f"{programs}/pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(wheel), cwd=folder)
        run(f"{programs}/sweeplab", "--help", cwd=folder)
        run(f"{programs}/python", "-c", "import hydra_plugins.sweeplab_sweeper.sweeper", cwd=folder)


def output(*command: str) -> str:
    """Return what a command prints."""
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def run(*command: str, cwd: str | Path = ROOT) -> None:
    """Run a command; its failure ends the release."""
    done = subprocess.run(command, cwd=cwd, env=without_this_environment())
    if done.returncode:
        sys.exit(f"release: this failed, and nothing is tagged: {' '.join(command)}")


def without_this_environment() -> dict[str, str]:
    """Return the environment of a process that finds no module of the clone by PYTHONPATH."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


if __name__ == "__main__":
    main()
