"""The configuration of a sweep, as it was when the sweep began, and that of each trial.

Imports no other room of the sweep.
"""
