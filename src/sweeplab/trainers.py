"""The trainers that a configuration names, beside Lightning's own."""

from sweeplab.training.lean_trainer import LeanTrainer

__all__ = ["LeanTrainer"]
