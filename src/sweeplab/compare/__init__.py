"""Tables, statistics and verdicts of runs and trials, from their folders alone: what `compare.py` prints.

Public: `compare.comparison.compare`. Imports records; scipy and Optuna only where needed.
"""
