"""Whether W&B is online: decided once, by what works, before anything waits for it."""

import base64
import json
import logging
import os
import urllib.error
import urllib.request
from typing import Literal, get_args

import wandb

from sweeplab.tracking.settings import ensure_home

log = logging.getLogger(__name__)

Mode = Literal["online", "offline", "disabled"]
ANSWERS_WITHIN = 3.0  # seconds; a server that is slower than this would hold every step up


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
    if mode == "disabled":
        return "disabled"
    if mode == "offline":
        return "offline"
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

    found = settings.api_key or os.environ.get("WANDB_API_KEY") or wbnetrc.read_netrc_auth(host=settings.base_url)
    return str(found) if found else None


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
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        refused = error.code in (401, 403)
        return f"{url} refuses the key; write `wandb login --relogin`" if refused else f"{url} answers {error.code}"
    except (OSError, ValueError):
        return f"{url} does not answer"
    viewer = (found.get("data") or {}).get("viewer") if isinstance(found, dict) else None
    return "" if viewer else f"{url} does not know the key; write `wandb login --relogin`"
