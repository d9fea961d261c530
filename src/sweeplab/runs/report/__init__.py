"""One page that shows runs: `write_report`."""

from sweeplab.runs.report.page import write_report

__all__ = ["write_report"]
