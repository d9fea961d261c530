"""Variables of the environment that a project keeps in its file `.env`, which is no business of git."""

from pathlib import Path

from sweeplab.errors import UserError

FILE = ".env"


def read_dotenv(project: Path) -> None:
    """Set the variables that the file `.env` of a project has, but for those that are set already.

    Raises:
        UserError: it is not text.
    """
    path = project / FILE
    if not path.exists():
        return
    from dotenv import load_dotenv

    try:
        load_dotenv(path)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text: byte {error.start} is not UTF-8.") from error
