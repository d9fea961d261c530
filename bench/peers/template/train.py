"""Training as the usual Lightning and Hydra template has it: all imports at the top, every object from conf/."""

import logging

import hydra
import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf

log = logging.getLogger(__name__)


def instantiate_all(configs: DictConfig | None) -> list[Callback | Logger]:
    """Return the objects of a group in which each entry names its class."""
    return [hydra.utils.instantiate(config) for config in (configs or {}).values() if "_target_" in config]


def train(cfg: DictConfig) -> dict[str, torch.Tensor]:
    """Fit, then test the best checkpoint; return the metrics."""
    if cfg.get("seed") is not None:
        seed_everything(cfg.seed, workers=True)
    log.info("Instantiating datamodule <%s>", cfg.data._target_)
    datamodule: LightningDataModule = hydra.utils.instantiate(cfg.data)
    log.info("Instantiating model <%s>", cfg.model._target_)
    model: LightningModule = hydra.utils.instantiate(cfg.model)
    callbacks = instantiate_all(cfg.get("callbacks"))
    loggers = instantiate_all(cfg.get("logger"))
    log.info("Instantiating trainer <%s>", cfg.trainer._target_)
    trainer: Trainer = hydra.utils.instantiate(cfg.trainer, callbacks=callbacks, logger=loggers)
    for logger in loggers:
        logger.log_hyperparams(OmegaConf.to_container(cfg, resolve=True))
    trainer.fit(model, datamodule=datamodule, ckpt_path=cfg.get("ckpt_path"), weights_only=False)
    metrics = dict(trainer.callback_metrics)
    if cfg.get("test"):
        best = trainer.checkpoint_callback.best_model_path or None
        trainer.test(model, datamodule=datamodule, ckpt_path=best, weights_only=False)
        metrics |= trainer.callback_metrics
    return metrics


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float:
    """Return the metric that a sweep optimizes."""
    return train(cfg)[cfg.optimized_metric].item()


if __name__ == "__main__":
    main()
