"""Colours of the log on a terminal."""

import logging
import os
import sys

COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31m"}  # yellow, red
PLAIN = "\x1b[0m"


class ColourFormatter(logging.Formatter):
    """Makes warnings yellow and errors red where standard output is a terminal, unless NO_COLOR is set."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line, colour = super().format(record), COLOURS.get(record.levelno)
        is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
        return line if colour is None or is_plain else f"{colour}{line}{PLAIN}"
