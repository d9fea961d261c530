"""Write the report of a sweep's folder: `python -m sweeplab.runs.report multirun/cnn [seconds]`."""

import sys
from pathlib import Path

from sweeplab.errors import UserError
from sweeplab.runs.found import find
from sweeplab.runs.report.page import NAME, write_report
from sweeplab.runs.study import Study, is_study


def main(arguments: list[str]) -> None:
    """Write `report.html` into the folder of a sweep; it loads itself again every so many `seconds` while runs run.

    Raises:
        UserError: no run is there.
    """
    folder, *rest = arguments
    place = Path(folder)
    study = Study.read(place) if is_study(place) else None
    write_report(place / NAME, find([place]).runs, study, float(rest[0]) if rest else None)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, OSError) as error:
        sys.exit(f"Error: {error}")
