"""Imported first by the fork server: signals meant for the controller, or for everybody, do not end it.

It ends with the controller, by the pipe between them; until then it has to tell how the trials ended.
"""

from sweeplab.streams import open_closed_streams
from sweeplab.sweep import signals

signals.ignore()
open_closed_streams()
