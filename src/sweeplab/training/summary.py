"""What a model consists of, as it is shown before the training."""

from typing import Any

from lightning.pytorch.callbacks import RichModelSummary


class ModelSummary(RichModelSummary):
    """Lightning's table of modules, with FLOPs only where they were counted, and one line below it."""

    @staticmethod
    def summarize(
        summary_data: list[tuple[str, list[str]]],
        total_parameters: int,
        trainable_parameters: int,
        model_size: float,
        total_training_modes: dict[str, int],
        total_flops: int,
        **summarize_kwargs: Any,
    ) -> None:
        """Print the table and the line; `model_size` is in MB."""
        from rich import get_console
        from rich.table import Table

        columns = {name: values for name, values in summary_data if name != "FLOPs" or total_flops}
        table = Table(*columns, box=None, header_style=summarize_kwargs.get("header_style", "bold"))
        for row in zip(*columns.values(), strict=True):
            table.add_row(*row)
        parts = [f"{trainable_parameters:,} parameters to train, {model_size:.3g} MB"]
        if frozen := total_parameters - trainable_parameters:
            parts.append(f"{frozen:,} frozen")
        if asleep := total_training_modes["eval"]:
            parts.append(f"{asleep} modules in eval mode")
        get_console().print(table)
        get_console().print(", ".join(parts), highlight=False)
