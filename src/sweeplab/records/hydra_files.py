"""The files that Hydra leaves in a run's folder, without secrets: it writes what was typed, before anybody can ask."""

from pathlib import Path

from omegaconf import OmegaConf

from sweeplab.records.files import read_text, write_text
from sweeplab.secrets import masked_config

FILES = {"config.yaml": "", "hydra.yaml": "", "overrides.yaml": "hydra.overrides"}


def mask_files(folder: Path) -> None:
    """Mask the secrets in Hydra's files in `folder`, where there are any."""
    for name, key in FILES.items():
        path = folder / name
        if path.is_file():
            content = OmegaConf.to_container(OmegaConf.create(read_text(path)), resolve=False)
            if (masked := masked_config(content, key)) != content:
                write_text(path, OmegaConf.to_yaml(OmegaConf.create(masked)))
