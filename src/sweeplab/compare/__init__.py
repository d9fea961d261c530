"""Tables, statistics and significance of runs and trials, from their folders alone: what `compare.py` prints.

Public: `compare.comparison.compare`. Imports records; scipy and Optuna only where needed. Rows are plain dicts, not
pandas: importing it takes a third of the time of a whole table, and it would not tell 1 from true or null from absent.
"""
