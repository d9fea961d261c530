"""Draw `docs/pictures/sweep-run.png`: the plots in the run of a sweep with ten complete trials. Needs Chromium.

python train.py -m sweep=tpe hydra/sweeper/pruner=median model=cnn data=mnist1d logger=wandb study=demo \
    hydra.sweeper.n_trials=16 trainer.max_epochs=9
python docs/pictures/sweep_run.py multirun/demo
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import plotly.io as pio  # type: ignore[import-untyped]  # plotly has no types

PICTURE = Path(__file__).with_name("sweep-run.png")
WIDTH, HEIGHT = 1400, 1000
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
COLUMN = {"history": 580, "importance": 580, "parallel coordinates": 820, "slices": 820}  # widths, from the left
PAGE = "<body style='margin:0; display:grid; grid-template-rows:1fr 1fr; grid-auto-flow:column'>{}</body>"


def page(study: Path) -> str:
    """Return a page with the plots of the sweep's run."""
    plots: list[str] = []
    for name, width in COLUMN.items():
        found = sorted(study.glob(f"wandb/*run-*-sweep/files/media/plotly/plots/{name}_*.plotly.json"))
        if not found:
            sys.exit(f"Error: {study} holds no run of a sweep with a plot of {name}.")
        figure = pio.from_json(found[-1].read_text(encoding="utf-8"))
        figure.update_layout(width=width, height=HEIGHT // 2, title_font_size=18)
        figure.update_xaxes(tickfont_size=10)
        plots.append(figure.to_html(full_html=False, include_plotlyjs=not plots, config={"displayModeBar": False}))
    return PAGE.format("".join(plots))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        Path(folder, "plots.html").write_text(page(Path(sys.argv[1])), encoding="utf-8")
        shot = (f"--screenshot={PICTURE}", f"--window-size={WIDTH},{HEIGHT}", f"file://{folder}/plots.html")
        subprocess.run(["chromium", *FLAGS, *shot], check=True, stderr=subprocess.DEVNULL)
