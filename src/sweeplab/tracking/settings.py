"""How our runs begin: online or not, W&B's settings, and `wandb.init`."""

import base64
import json
import logging
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Literal, get_args

import wandb

from sweeplab.errors import UserError
from sweeplab.records.layout import RunFile
from sweeplab.secrets import masked_arguments

log = logging.getLogger(__name__)

Mode = Literal["online", "offline", "disabled"]
ANSWERS_WITHIN = 3.0  # seconds; a server that is slower than this would hold every step up
INIT_WITHIN = 20.0  # seconds for a server to take a new run; W&B's own 90 would hold a sweep up for long
FINISH_WITHIN = 60.0  # seconds for the last uploads; what is not through by then stays on the disk
FINISH_FILES_WITHIN = 600.0  # the same, where checkpoints are among them
DATA_DIR = "WANDB_DATA_DIR"


def begin_run(x_axis: str, advice: str = "", **arguments: Any) -> Any:
    """Call `wandb.init` such that W&B keeps no secret of the command line, and draws curves over `x_axis`.

    Raises:
        UserError: what W&B does not take of the arguments, with the advice behind it.
    """
    try:
        with masked_arguments():
            run: Any = wandb.init(**arguments)
    except wandb.errors.UsageError as error:
        raise UserError(f"W&B: {first_line(error)}{advice}") from error
    run.define_metric(x_axis)
    run.define_metric("*", step_metric=x_axis, step_sync=True)
    return run


def settings(files: bool, requirements: bool) -> wandb.Settings:
    """Return W&B's settings for our runs; `files` says that checkpoints will be uploaded."""
    limits = {"init_timeout": INIT_WITHIN, "finish_timeout": FINISH_FILES_WITHIN if files else FINISH_WITHIN}
    chosen: dict[str, Any] = {n: seconds for n, seconds in limits.items() if f"WANDB_{n.upper()}" not in os.environ}
    return wandb.Settings(
        silent=True,
        # What a killed process did not flush is lost; the default flushes every 15 seconds.
        x_transaction_log_flush_interval=2.0,
        # The list of installed packages is the same in every trial, and takes longer than the rest of a start.
        x_save_requirements=requirements,
        **chosen,
    )


def stage_artifacts(folder: Path) -> bool:
    """Let artifacts wait for their upload beside the runs, not in W&B's own folder, unless the user has named one."""
    if ours := DATA_DIR not in os.environ:
        os.environ[DATA_DIR] = str(folder.absolute() / RunFile.WANDB / "data")
    return ours


def ensure_home() -> None:
    """Give W&B a home where the user has none, as in containers: it looks there for its settings, and fails."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()


def pick_mode(offline: bool | None) -> Mode:
    """Return the mode that works, and say why it is not online.

    `WANDB_MODE` decides where `offline` does not; else a run is online if there is a key and the server takes it. To
    find out costs seconds at most, where `wandb.init` would wait 100 seconds and then fail.
    """
    if offline is not None:
        return "offline" if offline else "online"
    asked = os.environ.get("WANDB_MODE")
    ensure_home()
    settings = wandb.setup().settings
    mode = asked if asked in get_args(Mode) else settings.mode  # W&B reads its environment once a process
    if mode in ("disabled", "offline"):
        return "disabled" if mode == "disabled" else "offline"
    if asked == "online":
        return "online"
    key = find_key(settings)
    if key is None:
        log.info("W&B: no key on this machine, so runs are kept offline; `wandb login` changes that.")
        return "offline"
    if trouble := why_not(settings.base_url, key):
        log.warning("W&B: %s, so runs are kept offline.", trouble)
        return "offline"
    return "online"


def find_key(settings: wandb.Settings) -> str | None:
    """Return W&B's API key: from its settings, the environment, or the netrc file."""
    from wandb.sdk.lib.wbauth import wbnetrc

    key = settings.api_key or os.environ.get("WANDB_API_KEY") or wbnetrc.read_netrc_auth(host=settings.base_url)
    return str(key) if key else None


def why_not(url: str, key: str) -> str:
    """Say why a server cannot be used with a key; nothing where it can.

    It is asked who the key belongs to, as the first request of W&B itself does.
    """
    request = urllib.request.Request(
        f"{url.rstrip('/')}/graphql",
        data=json.dumps({"operationName": "Viewer", "query": "query Viewer { viewer { id } }"}).encode(),
        headers={
            "Authorization": f"Basic {base64.b64encode(f'api:{key}'.encode()).decode()}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN) as answer:
            content = json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        refused = error.code in (401, 403)
        return f"{url} refuses the key; write `wandb login --relogin`" if refused else f"{url} answers {error.code}"
    except (OSError, ValueError):
        return f"{url} does not answer"
    viewer = (content.get("data") or {}).get("viewer") if isinstance(content, dict) else None
    return "" if viewer else f"{url} does not know the key; write `wandb login --relogin`"


def first_line(error: BaseException) -> str:
    """Return what an error of W&B says, without its advice."""
    return (str(error) or type(error).__name__).splitlines()[0]
