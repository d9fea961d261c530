"""What `--help` shows. Hydra's own takes a second, most of it to copy its list of groups a hundred times."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf


def help_text(about: str, conf: Path, name: str, overrides: list[str]) -> str:
    """Return what a program is about, the choices of its configuration, and its values with the overrides applied."""
    with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
        values = OmegaConf.to_yaml(compose(name, overrides))
    return (
        f"{about.strip()}\n\n== Choices: group=option ==\n{_choices(conf)}\n\n== Values: key=value ==\n{values}\n"
        "--hydra-help shows Hydra's own options; sweeplab's docs/ has a page per task."
    )


def _choices(conf: Path) -> str:
    groups = sorted(path for path in conf.iterdir() if path.is_dir())
    width = max(len(group.name) for group in groups)
    lines = []
    for group in groups:
        options = sorted(path.relative_to(group).with_suffix("").as_posix() for path in group.rglob("*.yaml"))
        lines.append(f"{group.name:{width}}  {', '.join(options)}")
    return "\n".join(lines)
