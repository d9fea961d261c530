"""The engine of sweeps, for any Hydra app: Optuna and Hydra; no torch, no Lightning, no W&B.

`sweep.sweep` is the way in, `sweep.loop` what goes on. Rooms, from the ground: `space` (what is searched), `config`
(the configuration of a sweep and of a trial), `study` (ask, tell, resume) and `execute` (where trials run). Between
them lies what they hand each other: `trial`, `job`, `program`, `spec`.

Public: `sweep.trial` (also `sweeplab.current`) and `sweep.listener` (also `sweeplab.Listener`), which has all that a
listener needs; rooms above see no more of it. Imports records and report.
"""
