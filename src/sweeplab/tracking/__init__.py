"""W&B: the runs of trainings and trials, the run of a sweep, its service, uploads of what was offline."""
