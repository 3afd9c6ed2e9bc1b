"""Which clips make which batch: every clip once, the same order whoever reads it, from any position on."""

import pytest
import torch

from neural_methods.batches import PlannedBatches, evaluation_plan, loader, training_plan
from tests.test_clips import dataset, entry


def test_the_order_depends_on_seed_and_epoch_alone():
    """Another epoch or seed: another order; the same pair: the same."""
    first = training_plan(23, 4, seed=7, epoch=0)
    assert first == training_plan(23, 4, seed=7, epoch=0)
    assert first != training_plan(23, 4, seed=7, epoch=1) and first != training_plan(23, 4, seed=8, epoch=0)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_share_the_batches_of_one(world):
    """Batch by batch the processes together read what a single one reads, in its order."""
    alone = training_plan(23, 4, seed=3, epoch=5)
    shares = [training_plan(23, 4, 3, 5, rank, world) for rank in range(world)]
    for number, batch in enumerate(alone):
        parts = [share[number] for share in shares]
        assert sum((part.indices[: part.count] for part in parts), ()) == batch.indices
        assert all(part.indices and part.total == len(batch.indices) for part in parts)


def test_plans_share_every_clip_once():
    """Three processes: training and evaluation plans cover each clip once, whatever the remainder."""
    for n in (1, 5, 7, 12):
        for plans in (
            [training_plan(n, 6, 1, 0, rank, 3) for rank in range(3)],
            [evaluation_plan(n, 2, rank, 3) for rank in range(3)],
        ):
            counted = [index for plan in plans for micro in plan for index in micro.indices[: micro.count]]
            assert sorted(counted) == list(range(n))


def test_evaluation_does_not_mix_lengths():
    """Clips of different lengths never share a batch."""
    plan = evaluation_plan(5, 4, lengths=[9, 9, 7, 7, 9])
    assert [micro.indices for micro in plan] == [(0, 1), (2, 3), (4,)]


def test_batch_must_be_shared_evenly():
    """A global batch that the processes cannot share is an error."""
    with pytest.raises(ValueError, match="multiple of the 2 processes"):
        training_plan(8, 3, 1, 0, 0, 2)


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_give_the_planned_batches_with_any_workers(tmp_path, workers):
    """Two epochs, the second from its middle, through one loader; the global random numbers are not touched."""
    made = dataset(*(entry(tmp_path, f"r{k}", 40, seed=k) for k in range(3)))
    batches = PlannedBatches()
    reader = loader(made, batches, workers, torch.device("cpu"))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    for epoch, start in ((0, 0), (1, 1)):
        batches.plan = training_plan(len(made), 5, 1, epoch)[start:]
        read = list(reader)
        assert [tuple(batch["index"].tolist()) for batch in read] == [micro.indices for micro in batches.plan]
        video = torch.cat([batch["video"] for batch in read])
        assert (video == torch.stack([made[k]["video"] for micro in batches.plan for k in micro.indices])).all()
    assert (torch.get_rng_state() == state).all() and reader.persistent_workers == (workers > 0)
