import torch
from lightning.pytorch import LightningModule, Trainer
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from sweeplab.tasks.epoch_metrics import EpochMetrics


class Given(LightningModule):
    """Takes its logits from the data."""

    def __init__(self) -> None:
        super().__init__()
        self.metrics = EpochMetrics(
            {"acc": MulticlassAccuracy(5, average="micro"), "f1": MulticlassF1Score(5, average="macro")}
        )

    def test_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> None:
        logits, labels = batch
        self.metrics.update(cross_entropy(logits, labels), logits, labels)

    def on_test_epoch_end(self) -> None:
        self.metrics.log(self, "test")


def test_an_epoch_of_uneven_batches_equals_one_look_at_everything() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(217, 5, generator=generator), torch.randint(5, (217,), generator=generator)
    sizes = [7] * 30 + [7]  # more batches than are held back, and not a multiple of them
    batches = list(zip(logits.split(sizes), labels.split(sizes), strict=True))  # type: ignore[no-untyped-call]  # torch
    trainer = Trainer(logger=False, enable_progress_bar=False, accelerator="cpu", enable_checkpointing=False)
    module = Given()
    for _ in range(2):  # the second epoch starts from nothing
        found = trainer.test(module, DataLoader(batches, batch_size=None), verbose=False)[0]  # type: ignore[arg-type]  # a list will do
        torch.testing.assert_close(found["test/loss"], cross_entropy(logits, labels).item())
        torch.testing.assert_close(found["test/acc"], (logits.argmax(1) == labels).float().mean().item())
        torch.testing.assert_close(found["test/f1"], MulticlassF1Score(5, average="macro")(logits, labels).item())
