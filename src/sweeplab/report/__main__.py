"""Write the report of a sweep's folder: `python -m sweeplab.report multirun/cnn [seconds]`."""

import sys
from pathlib import Path

from sweeplab.errors import UserError
from sweeplab.report.page import write_study_report

if __name__ == "__main__":
    try:
        write_study_report(Path(sys.argv[1]), *map(float, sys.argv[2:3]))
    except (UserError, OSError) as error:
        sys.exit(f"Error: {error}")
