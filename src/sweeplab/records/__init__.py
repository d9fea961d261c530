"""What a run and a study leave on disk, written whole and read with care, and the rows of all of them.

Public: `sweeplab.load`, `records.found.find`, `records.run.Run`, `records.trials.Trials`, `records.record.Status`.
Imports nothing of sweeplab but its single modules (errors, secrets, build, ...); no torch, no Optuna.
"""
