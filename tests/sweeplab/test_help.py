from pathlib import Path

from sweeplab.help import help_text


def test_choices_and_values_are_shown_with_the_overrides_applied(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in ("cnn", "mlp"):
        (tmp_path / "model" / f"{name}.yaml").write_text(f"name: {name}\n")
    (tmp_path / "train.yaml").write_text("defaults: [_self_, {model: cnn}]\nseed: 0\n")
    text = help_text("\nTrain a model.\n", tmp_path, "train", ["model=mlp", "seed=3"])
    assert text.startswith("Train a model.\n")
    assert "model  cnn, mlp" in text
    assert "seed: 3\nmodel:\n  name: mlp\n" in text
