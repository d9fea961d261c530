"""The checkpoint with the best objective."""

from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint

from sweeplab.runs.paths import moved


class BestCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, but one whose memory follows the run's folder.

    Lightning's own forgets the best score of a run that is taken up again in another place.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state, with the paths in it moved to where the run is now."""
        super().load_state_dict(moved(state_dict, str(state_dict["dirpath"]), str(self.dirpath)))
