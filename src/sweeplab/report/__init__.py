"""One page that shows runs: `write_report`, and `python -m sweeplab.report <folder>`. Imports records and compare.

`python compare.py` lives here too. It needs no numpy for a table, so nothing is imported before it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeplab.report.page import write_report

__all__ = ["write_report"]


def __getattr__(name: str) -> Any:
    if name != "write_report":
        raise AttributeError(f"module 'sweeplab.report' has no attribute '{name}'")
    from sweeplab.report.page import write_report

    return write_report
