"""Compare runs from their folders, without an account or a network.

python compare.py multirun/cnn                                  what won
python compare.py multirun/cnn outputs/2026-01-31               any mix of studies and runs
python compare.py multirun/nets --by model                      one row per group
python compare.py multirun/cnn --filter 'lr<1e-3' --top 5       some of the runs
python compare.py multirun/cnn/3 multirun/cnn/7 --diff          where two runs differ
python compare.py multirun/cnn --html report.html               all plots on one page
"""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("sweeplab") is None:
    sys.exit("Error: this Python has no sweeplab; run: source .venv/bin/activate (make setup makes it).")

from sweeplab.errors import plain_errors

CONF = Path(__file__).parent / "conf"

if __name__ == "__main__":
    with plain_errors(CONF):
        from sweeplab.report.command import main

        main(__doc__, sys.argv[1:])
