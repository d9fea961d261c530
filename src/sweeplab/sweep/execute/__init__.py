"""Where trials run: one face, `executor`, and what is behind it; slots, the worker, what a lost trial left.

Imports `config` and the spec of the sweep; nothing of the study.
"""
