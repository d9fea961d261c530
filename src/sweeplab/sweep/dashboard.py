"""Open optuna-dashboard on a sweep: `python -m sweeplab.sweep.dashboard <study folder> [port=8080] [storage=<URL>]`.

The storage is the journal in the folder, or the URL in its sweep.json; that one has no password, so say it here.
"""

import sys
from pathlib import Path

from sweeplab.errors import UserError, did_you_mean, plain_errors
from sweeplab.records.layout import StudyFile
from sweeplab.records.study import Study
from sweeplab.secrets import masked

KEYS = ("port", "storage")


def main(arguments: list[str]) -> None:
    """Serve the page of a study until Ctrl-C.

    Raises:
        UserError: there is no such study, or its storage, the package or the port is not to be had.
    """
    folder, port, url = _read(arguments)
    study = Study.read(folder)
    if url is None and study.storage is not None and "***" in study.storage:
        raise UserError(f"{folder} is stored in {study.storage}, whose password is not saved; add storage=<URL>.")
    try:
        from optuna_dashboard import run_server
    except ImportError:
        raise UserError("optuna-dashboard is not installed; run: pip install 'sweeplab[dashboard]'") from None
    from sweeplab.sweep.study.storage import open_storage

    url = url or study.storage
    if url is None and not (folder / StudyFile.JOURNAL).is_file():
        raise UserError(f"{folder} has no {StudyFile.JOURNAL}, so there is nothing to show.")
    # Through the sweep's own locks: what the page writes, such as notes, does not cross what trials write.
    storage, _ = open_storage(url, folder)
    try:
        number = storage.get_study_id_from_name(study.name)
    except KeyError:
        raise UserError(f"{masked(url) if url else folder / StudyFile.JOURNAL} has no study {study.name}.") from None
    sys.stdout.write(f"{study.name}: http://127.0.0.1:{port}/dashboard/studies/{number}  (Ctrl-C ends it)\n")
    sys.stdout.flush()
    try:
        run_server(storage, host="127.0.0.1", port=port)
    except OSError as error:
        raise UserError(f"port {port} cannot be used ({error.strerror}); name another one, as in port=8081.") from error


def _read(arguments: list[str]) -> tuple[Path, int, str | None]:
    """Return what the arguments say: the study's folder, the port, the storage."""
    folders = [word for word in arguments if "=" not in word]
    if len(folders) != 1:
        raise UserError("give the folder of a study: python -m sweeplab.sweep.dashboard multirun/cnn")
    given = dict(word.split("=", 1) for word in arguments if "=" in word)
    for key in given:
        if key not in KEYS:
            raise UserError(f"{key}= is not known{did_you_mean(key, KEYS)}")
    port = given.get("port") or "8080"
    if not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UserError(f"port={port} must be a whole number from 1 to {2**16 - 1}.")
    return Path(folders[0]), int(port), given.get("storage") or None


if __name__ == "__main__":
    with plain_errors(Path()):
        main(sys.argv[1:])
