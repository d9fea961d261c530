"""The configuration of a run on the terminal, as a tree."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeplab.records.links import kept
from sweeplab.secrets import masked_config

WIDE = 10_000
FIRST = ("data", "model")  # the rest follows as it was composed


def print_tree(config: DictConfig) -> None:
    """Print the configuration with a branch for each of its groups; secrets are masked."""
    from rich.console import Console, RenderableType
    from rich.syntax import Syntax
    from rich.text import Text
    from rich.tree import Tree

    console = Console()
    if not console.is_terminal:
        console.width = WIDE  # a file has lines of any length

    def yaml(part: Any) -> RenderableType:
        text = OmegaConf.to_yaml(OmegaConf.create(part)).rstrip()
        return Syntax(text, "yaml", word_wrap=True) if console.is_terminal else Text(text)

    content: Mapping[str, Any] = masked_config(kept(config))
    tree = Tree("configuration")
    for key in dict.fromkeys([*(key for key in FIRST if key in content), *content]):
        value = content[key]
        if isinstance(value, Mapping) and value:
            tree.add(key).add(yaml(dict(value)))
        else:
            tree.add(yaml({key: value}))
    console.print(tree)
