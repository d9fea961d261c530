"""Imported first by the fork server: signals meant for the controller, or for everybody, do not end it.

It ends with the controller, by the pipe between them, and clears what a killed one leaves behind; until then it has to
tell how the trials ended.
"""

import atexit

from sweeplab.streams import open_closed_streams
from sweeplab.sweep.execute import signals
from sweeplab.sweep.execute.temporary import remove_left_behind

signals.ignore()
open_closed_streams()
atexit.register(remove_left_behind)
