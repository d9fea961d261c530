import pytest

from sweeplab.records.names import clock, of_training, short_keys, short_value, without_part


@pytest.mark.parametrize(
    ("metric", "measured"),
    [
        ("val/acc", "acc"),
        ("test_acc", "acc"),
        ("train.loss", "loss"),
        ("valid/loss", "loss"),
        ("validation_loss", "loss"),
        ("training/loss", "loss"),
        ("val/acc/dataloader_idx_0", "acc/dataloader_idx_0"),
        ("value/acc", "value/acc"),
        ("trained", "trained"),
        ("val", "val"),
        ("loss", "loss"),
        ("model/val/acc", "model/val/acc"),
    ],
)
def test_what_is_measured_is_told_from_what_it_is_measured_on(metric: str, measured: str) -> None:
    assert without_part(metric) == measured


@pytest.mark.parametrize(
    ("metric", "training"),
    [
        ("val/acc", "train/acc"),
        ("val_loss", "train_loss"),
        ("valid.loss", "train.loss"),
        ("test/acc", "train/acc"),
        ("train/acc", "train/acc"),
        ("reconstruction", "reconstruction"),
    ],
)
def test_a_metric_of_the_validation_has_a_likely_name_in_the_training(metric: str, training: str) -> None:
    assert of_training(metric) == training


def test_keys_are_as_short_as_they_can_be_told_apart() -> None:
    keys = ["optimizer.lr", "model.width", "task.metrics.acc.average", "data.a.size", "data.b.size", "task@x.seed"]
    assert list(short_keys(keys, taken=["seed"]).values()) == ["lr", "width", "average", "a_size", "b_size", "x_seed"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00031, "3.1e-4"), (0.5, "0.5"), (123456.0, "1.23e5"), (0.0, "0"), (3, "3"), (True, "True"), ("adam", "adam")],
)
def test_values_have_three_digits(value: object, text: str) -> None:
    assert short_value(value) == text


def test_times_are_those_of_a_clock() -> None:
    assert [clock(seconds) for seconds in (19, 61.6, 3723)] == ["0:19", "1:02", "1:02:03"]
