import itertools

import torch

from sweeplab.tasks.batches import Batches, Shuffle

DATA = torch.arange(103)


def epoch(batches: Batches) -> list[int]:
    return torch.cat([batch for (batch,) in batches]).tolist()


def shuffled(seed: int = 0, rank: int = 0, ranks: int = 1) -> Batches:
    return Batches(DATA, batch_size=10, shuffle=Shuffle(len(DATA), seed, rank, ranks))


def test_an_epoch_holds_every_sample_once() -> None:
    batches = shuffled()
    assert sorted(epoch(batches)) == DATA.tolist()
    assert len(list(batches)) == len(batches) == 11


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first, again, other_seed = shuffled(0), shuffled(0), shuffled(1)
    order = epoch(first)
    torch.rand(5)  # the global generator has no say
    assert epoch(again) == order
    assert epoch(other_seed) != order
    assert again.shuffle
    again.shuffle.set_epoch(1)
    assert epoch(again) != order
    again.shuffle.set_epoch(0)
    assert epoch(again) == order


def test_ranks_share_an_epoch_and_have_as_many_batches() -> None:
    parts = [epoch(shuffled(rank=rank, ranks=4)) for rank in range(4)]
    assert {len(part) for part in parts} == {26}
    assert set().union(*parts) == set(DATA.tolist())


def test_evaluation_on_several_ranks_sees_each_sample_once() -> None:
    parts = [epoch(Batches(DATA, batch_size=10, rank=rank, ranks=4)) for rank in range(4)]
    assert sorted(itertools.chain(*parts)) == DATA.tolist()


def test_it_goes_on_with_the_batch_after_the_one_it_stopped_at() -> None:
    whole = list(shuffled())
    stopped = shuffled()
    iterator = iter(stopped)
    for _ in range(4):
        next(iterator)
    resumed = shuffled()
    resumed.load_state_dict(stopped.state_dict())
    rest = list(resumed)
    assert torch.equal(torch.cat([b for (b,) in rest]), torch.cat([b for (b,) in whole[4:]]))
    assert len(list(resumed)) == len(whole)  # the next epoch is a whole one


def test_a_state_saved_after_the_last_batch_means_a_new_epoch() -> None:
    ended = shuffled()
    iterator = iter(ended)
    for _ in range(len(ended)):
        next(iterator)
    resumed = shuffled()
    resumed.load_state_dict(ended.state_dict())
    assert len(list(resumed)) == len(ended)
