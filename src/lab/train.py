"""The training: a page of plain Lightning, yours to change. Sweeplab's docs/training.md shows two stages, and folds."""

from sweeplab import Run


def train(run: Run) -> None:
    """Fit the model to the data, and test its best checkpoint."""
    data = run.build("data")
    model = run.build("model")
    trainer = run.build("trainer")  # with the callbacks and loggers of the configuration
    trainer.fit(model, data, ckpt_path=run.resume_from)
    if run.config.test:
        trainer.test(model, data, ckpt_path=run.best_checkpoint)
