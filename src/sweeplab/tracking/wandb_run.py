"""One training, one W&B run: started when training starts, ended as training ended, never shared."""

import logging
import os
import secrets
import socket
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import wandb
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch import LightningModule
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from sweeplab.errors import UserError, did_you_mean
from sweeplab.sweep.trial import current

log = logging.getLogger(__name__)

X_AXIS = "trainer/global_step"
WATCHABLE = ("all", "gradients", "parameters")
NAMELESS = {"group": None, "name": None, "job_type": "train"}  # as conf/logger/wandb.yaml has it
REACHABLE_WITHIN = 3.0  # seconds; a server that answers more slowly than this would hold every step up


class WandbRun(WandbLogger):
    """Lightning's W&B logger, made to own its run.

    Arguments are those of WandbLogger and, behind them, of `wandb.init`, but for two: `offline=None` decides by itself
    (`pick_mode`), and `watch` says whether gradients, parameters or both are recorded.
    """

    def __init__(
        self,
        *,
        save_dir: str,
        offline: bool | None = None,
        id: str | None = None,
        version: str | None = None,
        log_model: bool | Literal["all"] = False,
        watch: Literal["all", "gradients", "parameters"] | None = None,
        tags: Sequence[str] = (),
        **init: Any,
    ) -> None:
        if watch is not None and watch not in WATCHABLE:
            raise UserError(f"logger.wandb.watch={watch} is not known{did_you_mean(watch, WATCHABLE)}")
        if log_model not in (True, False, "all"):
            raise UserError(f"logger.wandb.log_model={log_model} is not known; write true, false or all.")
        self.mode = pick_mode(offline)
        run_id = version or id or secrets.token_hex(4)
        super().__init__(
            save_dir=save_dir,
            id=run_id,
            log_model=log_model,
            mode=self.mode,
            tags=list(tags),
            reinit="finish_previous",
            settings=wandb.Settings(
                silent=True,
                # What a killed process did not flush is lost; the default flushes every 15 seconds.
                x_transaction_log_flush_interval=2.0,
                # The list of installed packages is the same in every trial, and takes longer than the rest of a start.
                x_save_requirements=current() is None,
            ),
            **_of_the_trial(init),
        )
        # Lightning still passes it; W&B answers with a warning.
        del self._wandb_init["anonymous"]
        self._watch = watch

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, started at first use."""
        if self._experiment is None:
            if wandb.run is not None:
                log.warning("W&B run %s was never ended; it ends now, as failed.", wandb.run.id)
                wandb.run.finish(exit_code=1)
            Path(self.save_dir or ".").mkdir(parents=True, exist_ok=True)
            # Artifacts wait here for `wandb sync`; by default they would in the user's home, away from the run.
            self._data_dir = os.environ.get("WANDB_DATA_DIR")
            if self._data_dir is None:
                os.environ["WANDB_DATA_DIR"] = str(Path(self.save_dir or ".") / "wandb" / "data")
            try:
                self._experiment = wandb.init(**self._wandb_init)
            except wandb.errors.UsageError as error:
                raise UserError(f"W&B: {str(error).splitlines()[0]}; or write logger.wandb.offline=true.") from error
            self._experiment.define_metric(X_AXIS)
            self._experiment.define_metric("*", step_metric=X_AXIS, step_sync=True)
        return self._experiment

    def begin(self, config: Mapping[str, Any], model: LightningModule) -> dict[str, Any]:
        """Start the run, with the nested configuration; return id, project, entity, mode and address."""
        run = self.experiment
        run.config.update(dict(config), allow_val_change=True)
        if self._watch is not None:
            self.watch(model, log=self._watch, log_graph=False)
        where = {"id": run.id, "project": run.project, "entity": run.entity, "mode": self.mode}
        where["url"] = run.url if self.mode == "online" else None
        return {"wandb": where}

    @rank_zero_only
    def conclude(self, summary: Mapping[str, Any], tags: Sequence[str] = ()) -> None:
        """Add plain numbers to the run's summary, and tags to its tags."""
        self.experiment.summary.update(dict(summary))
        if tags:
            self.experiment.tags += tuple(tags)

    @rank_zero_only
    def end(self, exit_code: int) -> None:
        """End the run, if it was ever started."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=exit_code)
            self._experiment = None
            if self._data_dir is None:
                os.environ.pop("WANDB_DATA_DIR", None)


def _of_the_trial(init: Mapping[str, Any]) -> dict[str, Any]:
    """Say which trial the run belongs to, if any, wherever the user has not chosen something himself."""
    trial = current()
    if trial is None:
        return dict(init)
    ours = {"group": trial.study, "name": f"#{trial.number}", "job_type": "trial"}
    return {**init, **{key: ours[key] for key, default in NAMELESS.items() if init.get(key) in (None, default)}}


def pick_mode(offline: bool | None) -> Literal["online", "offline", "disabled"]:
    """Return the mode that works, and say why it is not online.

    `WANDB_MODE` decides where `offline` does not; else a run is online if there is a key and the server answers. To
    find out costs seconds at most, where `wandb.init` would wait 100 seconds and then fail.
    """
    if offline is not None:
        return "offline" if offline else "online"
    settings = wandb.setup().settings
    if settings.mode in ("offline", "disabled"):
        return settings.mode
    if not has_key(settings):
        log.info("W&B: no key on this machine, so the run is kept offline; `wandb login` changes that.")
        return "offline"
    if not is_reachable(settings.base_url):
        log.warning("W&B: %s does not answer, so the run is kept offline.", settings.base_url)
        return "offline"
    return "online"


def has_key(settings: wandb.Settings) -> bool:
    """Say whether W&B has an API key: in its settings, the environment, or the netrc file."""
    from wandb.sdk.lib.wbauth import wbnetrc

    return bool(settings.api_key or os.environ.get("WANDB_API_KEY") or wbnetrc.read_netrc_auth(host=settings.base_url))


def is_reachable(url: str) -> bool:
    """Say whether a server accepts connections."""
    parts = urllib.parse.urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), REACHABLE_WITHIN).close()
    except OSError:
        return False
    return True
