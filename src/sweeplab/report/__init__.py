"""One page that shows runs: `write_report`, and `python -m sweeplab.report <folder>`. Imports records and compare."""

from sweeplab.report.page import write_report

__all__ = ["write_report"]
