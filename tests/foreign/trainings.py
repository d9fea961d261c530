"""Training functions that users write instead of lab's."""

from statistics import mean

import torch

from sweeplab import Run
from tests.foreign.tables import TableRegression
from tests.foreign.template import SimpleDenseNet


def two_stages(run: Run) -> None:
    """Train everything, then the last layer alone, from the best weights of the first stage."""
    data, model = run.build("data"), run.build("model")
    assert isinstance(model, TableRegression)
    pretraining, head = run.stage("pretrain"), run.stage("head")
    if not pretraining.is_complete:
        trainer = pretraining.build("trainer", max_epochs=2)
        trainer.fit(model, data, ckpt_path=pretraining.resume_from)
    assert pretraining.best_checkpoint is not None
    model.load_state_dict(torch.load(pretraining.best_checkpoint, weights_only=True)["state_dict"])
    for weights in model.net[:-1].parameters():
        weights.requires_grad = False
    if not head.is_complete:
        trainer = head.build("trainer")
        trainer.fit(model, data, ckpt_path=head.resume_from)


def folds(run: Run) -> float:
    """Train on each of three seeds of the data, and return the mean of their objectives."""
    parts = [run.stage(f"fold{number}") for number in range(3)]
    for number, part in enumerate(parts):
        data, model = run.build("data", seed=number), run.build("model")
        if not part.is_complete:
            part.build("trainer").fit(model, data, ckpt_path=part.resume_from)
    return mean(part.best_value for part in parts)


def two_trainers(run: Run) -> None:
    """Ask for two trainers without a name."""
    data, model = run.build("data"), run.build("model")
    run.build("trainer").fit(model, data)
    run.build("trainer").fit(model, data)


def no_trainer(run: Run) -> None:
    """Train nothing."""
    run.build("data")


def look_first(run: Run) -> None:
    """Validate the weights that the training begins with."""
    data, model = run.build("data"), run.build("model")
    trainer = run.build("trainer")
    trainer.validate(model, data, ckpt_path=run.config.before, verbose=False)
    trainer.fit(model, data, ckpt_path=run.resume_from)


def own_network(run: Run) -> None:
    """Give the model a network that no configuration describes."""
    data = run.build("data")
    model = run.build("model", net=SimpleDenseNet(lin1_size=4))
    trainer = run.build("trainer")
    trainer.fit(model, data, ckpt_path=run.resume_from)
    trainer.test(model, data, ckpt_path=run.best_checkpoint)
