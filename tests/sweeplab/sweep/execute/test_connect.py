"""What is refused of the settings of a cluster before anything is connected."""

from typing import Any

import pytest

from sweeplab.errors import UserError
from sweeplab.sweep.config.settings import Settings
from sweeplab.sweep.execute.connect import cluster_of


def of(**keys: Any) -> Any:
    return cluster_of(Settings(cluster={"address": "tcp://head:8786", **keys}))


@pytest.mark.parametrize("value", ["abc", 0, -1, 101, True, None, float("nan")])
def test_a_lease_is_a_number_of_seconds(value: Any) -> None:
    with pytest.raises(UserError, match=r"cluster.lease=.* must be more than 0 and at most 100 seconds"):
        of(lease=value)


@pytest.mark.parametrize("value", ["abc", 0, -1, False, None, float("nan")])
def test_files_come_back_every_number_of_seconds(value: Any) -> None:
    with pytest.raises(UserError, match=r"cluster.sync_every=.* must be more than 0 seconds"):
        of(sync_every=value)


def test_the_folder_of_nodes_is_a_whole_path() -> None:
    with pytest.raises(UserError, match=r"cluster.folder=scratch must be an absolute path .* such as /scratch/me\.$"):
        of(folder="scratch")


def test_what_can_be_is_taken() -> None:
    pytest.importorskip("distributed")
    assert of(lease=2, sync_every=0.5, folder="/scratch/me").sync_every == 0.5
