"""Optuna's study: its storage, what is asked and told, what is suggested next, whether a sweep may go on.

Imports `space`, `config` and the spec of the sweep; nothing that runs trials.
"""
