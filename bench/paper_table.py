"""The paper's table of MNIST-1D, five seeds a model: `python bench/paper_table.py [--models linear mlp cnn gru]`.

Trains what is not trained yet, below multirun/mnist1d, and prints the rows of docs/results.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "multirun" / "mnist1d"
PAPER = {"linear": (32, 31.5), "mlp": (68, 65.1), "cnn": (94, 92.3), "gru": (91, 89.1)}


def runs(model: str, seeds: int, epochs: int | None) -> list[dict[str, Any]]:
    """Return the records of a model's runs, training those that are missing."""
    records = []
    for seed in range(seeds):
        folder = (FOLDER if epochs is None else FOLDER.with_name(f"mnist1d-{epochs}")) / model / str(seed)
        if not (folder / "run.json").exists():
            choices = [f"experiment=mnist1d/{model}", f"seed={seed}", "trainer=cpu", f"hydra.run.dir={folder}"]
            choices += [f"trainer.max_epochs={epochs}"] if epochs is not None else []
            subprocess.run([sys.executable, "train.py", *choices], cwd=ROOT, check=True)
        record = json.loads((folder / "run.json").read_text())
        if record["status"] != "complete":
            sys.exit(f"{folder} is {record['status']}: python train.py resume={folder}, or remove it")
        records.append(record)
    return records


def row(model: str, records: list[dict[str, Any]]) -> str:
    """Return a model's row: mean and standard deviation over its runs, in percent, and the dates."""
    cells = []
    for values in ([r["objective"]["value"] for r in records], [r["metrics"]["test/acc"] for r in records]):
        percent = [100 * value for value in values]
        cells.append(f"{statistics.mean(percent):.1f} ± {statistics.stdev(percent):.1f}")
    dates = sorted({record["started"][:10] for record in records})
    seconds = statistics.mean(record["seconds"] for record in records)
    paper, notebook = PAPER[model]
    return f"| {model} | {cells[0]} | **{cells[1]}** | {paper} | {notebook} | {seconds:.0f} | {', '.join(dates)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=PAPER, default=list(PAPER))
    parser.add_argument("--seeds", type=int, default=5, help="runs a model, two at least")
    parser.add_argument("--epochs", type=int, help="fewer than the table needs, to see that it runs")
    options = parser.parse_args()
    print("| model | val/acc, best | test/acc | paper | its notebook | seconds a run | dates |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for model in options.models:
        print(row(model, runs(model, options.seeds, options.epochs)), flush=True)


if __name__ == "__main__":
    main()
