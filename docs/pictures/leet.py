"""Draw `docs/pictures/leet.svg`: what `wandb leet` shows of a sweep that was never online. Needs tmux.

python train.py -m sweep=tpe hydra/sweeper/pruner=median model=cnn data=mnist1d logger=wandb study=demo \
    hydra.sweeper.n_trials=16 trainer.max_epochs=9
python docs/pictures/leet.py multirun/demo
"""

import json
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURE = Path(__file__).with_name("leet.svg")
WIDTH, HEIGHT = 160, 42
# Larger charts, and a list that is wide enough for the names.
LAYOUT = {
    "workspace_metrics_grid": {"rows": 2, "cols": 2},
    "workspace_layout": {"left_sidebar": 0.31, "right_sidebar": 0.25},
}
METRICS = "^(train|val)/(acc|loss)$"
DARK = TerminalTheme((22, 24, 29), (214, 217, 223), [(70, 74, 82)] * 8)

# Where rich draws a character, and the dots of a braille one: few fonts have them as wide as a letter.
CELL, LINE, LEFT, TOP = 12.2, 24.4, 9, 41
DOTS = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
FONT = "'DejaVu Sans Mono', Menlo, Consolas, monospace"


def screen(study: Path) -> str:
    """Return the screen with all runs in all charts, as a terminal gets it."""
    with TemporaryDirectory() as folder:
        Path(folder, "wandb-leet.json").write_text(json.dumps(LAYOUT))
        runs = Path(folder, "wandb")  # leet notes its filters beside the runs; those of the study stay as they are
        runs.mkdir()
        for run in study.glob("wandb/*run-*-*"):
            (runs / run.name).symlink_to(run.resolve())
        leet = shlex.join([str(Path(sys.executable).with_name("wandb")), "leet", str(runs)])
        variables = ("-e", f"WANDB_CONFIG_DIR={folder}", "-e", "COLORTERM=truecolor")
        tmux("-f", "/dev/null", "new-session", "-d", "-x", str(WIDTH), "-y", str(HEIGHT), *variables, leet)
        try:
            shown("Metrics [")
            tmux("send-keys", "C-a")
            shown("Press y to confirm")
            tmux("send-keys", "y")
            shown("[x: trials]")  # the curves of the sweep's run, which is the last one in the list
            tmux("send-keys", "/", METRICS, "Enter")
            return shown("Metrics [1-4 of 4 filtered").replace(str(runs), str(study / "wandb"))
        finally:
            tmux("kill-server")


def shown(words: str, within: float = 60) -> str:
    """Wait until a screen shows the words and stands still; return it."""
    until, before = monotonic() + within, ""
    while monotonic() < until:
        sleep(1)
        now = tmux("capture-pane", "-e", "-p")
        if now == before and words in Text.from_ansi(now).plain:
            return now
        before = now
    sys.exit(f"Error: leet does not show '{words}', but:\n{Text.from_ansi(before)}")


def tmux(*words: str) -> str:
    """Run a command on a server of our own."""
    return subprocess.run(["tmux", "-L", "leet-picture", *words], check=True, capture_output=True, text=True).stdout


def svg(text: str, study: Path) -> str:
    """Return the screen as a picture that looks the same with any font."""
    console = Console(record=True, width=WIDTH, file=StringIO())
    lines = [Text.from_ansi(line) for line in text.splitlines()]
    dots: dict[str, list[str]] = defaultdict(list)
    for row, line in enumerate(lines):
        for column, color, places in braille(line, console):
            dots[color] += [f"M{LEFT + CELL * (column + x):.1f} {TOP + LINE * (row + y):.1f}h0" for x, y in places]
        line.plain = "".join(" " if is_braille(sign) else sign for sign in line.plain)
        console.print(line, no_wrap=True, overflow="crop")
    picture = console.export_svg(title=f"wandb leet {study / 'wandb'}", theme=DARK, unique_id="leet")
    head, style, rest = picture.partition("<style>")
    rest = rest[rest.index(".leet-matrix") :].replace("Fira Code, monospace", FONT)
    paths = (f'<path stroke="{color}" d="{"".join(path)}"/>' for color, path in dots.items())
    drawn = f'<g fill="none" stroke-width="5" stroke-linecap="round">{"".join(paths)}</g>\n</svg>\n'
    return head + style + rest[: rest.rindex("</svg>")] + drawn


def braille(line: Text, console: Console) -> Iterator[tuple[int, str, list[tuple[float, float]]]]:
    """Yield the column, color and dots of each braille character."""
    for column, sign in enumerate(line.plain):
        if is_braille(sign):
            color = line.get_style_at_offset(console, column).color
            bits = ord(sign) - 0x2800
            places = [(0.25 + 0.5 * x, 0.125 + 0.25 * y) for bit, (x, y) in enumerate(DOTS) if bits >> bit & 1]
            yield column, color.get_truecolor(DARK).hex if color else "#d6d9df", places


def is_braille(sign: str) -> bool:
    """Say whether a character is made of dots."""
    return "\u2800" <= sign <= "\u28ff"


if __name__ == "__main__":
    study = Path(sys.argv[1])
    PICTURE.write_text(svg(screen(study), study))
