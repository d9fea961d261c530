import pytest

from sweeplab.errors import did_you_mean, nearest

KEYS = ["optimizer", "optimizer.lr", "data.batch_size", "trainer.max_epochs", "model.width"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("optimiser.lr", "optimizer.lr"),
        ("lr", "optimizer.lr"),  # the last part is enough
        ("trainer.max_epoch", "trainer.max_epochs"),
        ("batchsize", "data.batch_size"),
        ("colour", None),
    ],
)
def test_the_nearest_spelling_is_found(word: str, meant: str | None) -> None:
    assert nearest(word, KEYS) == meant


def test_where_nothing_is_near_the_choices_are_listed() -> None:
    assert did_you_mean("zzz", ["min", "max"]) == "; there is min, max."
