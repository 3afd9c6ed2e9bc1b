"""What a network for pairs must not find, and what finds it out: people without a pulse, and a leak that stands still.

People without a face and without a pulse (tests/plugins/pulsing.py), through the program of training.
"""

import pytest

from tests.pairing_programs import content, pulsing, settings
from tools.pairing import train as train_program

PEOPLE = {"PEOPLE": 40, "LASTS": 10.0, "AMPLITUDE": 0.0}
LEARNS = ("params.lr=0.03", "data.pairs_per_epoch=128", "params.batch_size=16", "params.epochs=4",
          "data.training_set_size=0.5", "MODEL.PAIR.PERTURB=[static]")  # fmt: skip
BRIEFLY = ("params.epochs=1", "MODEL.PAIR.PERMUTATIONS=500")


@pytest.fixture(scope="module", autouse=True)
def _pulsing():
    pulsing()


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Where faces are kept."""
    return tmp_path_factory.mktemp("faces")


def accuracies(folder, faces, *more, **people):
    """Of a training: what is said of the test, and the accuracy of clips that stand still."""
    changes = (*LEARNS, *more)
    assert train_program.main(settings(folder, *changes, data=faces, **{**PEOPLE, **people})) == 0
    found = content(folder, *changes, data=faces, **{**PEOPLE, **people})
    return found, found["perturbed"]["static"]["accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize("world", range(5))
def test_without_a_pulse_a_network_is_at_chance(tmp_path, faces, world):
    """Five sets of people: the accuracy lies inside of what permutations of them give."""
    found, _ = accuracies(tmp_path, faces, *BRIEFLY, WORLD=world)
    low, high = found["permutation"]["chance"]
    assert low <= found["accuracy"]["accuracy"] <= high and high - low < 0.5


@pytest.mark.slow
def test_a_leak_in_the_background_is_found_and_found_out(tmp_path, faces):
    """Brightness that tells the rate: learnt, as accurate where nothing moves; not learnt where it tells nothing."""
    found, still = accuracies(tmp_path / "leak", faces, "MODEL.PAIR.SPEED=0", LEAK=True)
    assert found["accuracy"]["accuracy"] > 0.8 and still > 0.8
    honest, still = accuracies(tmp_path / "honest", faces, "MODEL.PAIR.SPEED=0", AMPLITUDE=0.02)
    assert abs(still - 0.5) < 0.15 < honest["accuracy"]["accuracy"] - still


@pytest.mark.slow
def test_clips_at_another_speed_keep_a_network_from_the_leak(tmp_path, faces):
    """As configurations have it: of clips whose rate was changed the brightness says nothing."""
    found, still = accuracies(tmp_path, faces, LEAK=True)
    low, high = found["permutation"]["chance"]
    assert low <= found["accuracy"]["accuracy"] <= high and abs(still - 0.5) < 0.2
