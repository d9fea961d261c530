"""The engine of sweeps, for any Hydra app: space, study, executors, the loop. Optuna and Hydra; no torch, no W&B."""
