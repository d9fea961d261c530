"""The wheel's copy of what `sweeplab new` makes projects of; a clone has it already."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NewProject(BuildHookInterface):
    """Adds lab's files to the wheel as data, beside the code that copies them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add them, unless the install is editable."""
        if version == "editable":
            return
        root = Path(self.root)
        module = runpy.run_path(str(root / "src" / "sweeplab" / "new" / "files.py"))
        paths = {path for task in module["TASKS"].values() for path in module["files"](root, task)}
        build_data["force_include"].update({str(root / path): f"sweeplab/new/clone/{path}" for path in sorted(paths)})
