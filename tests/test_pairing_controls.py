"""A leak that stands still is found by a network for pairs, and finds it out.

People without a face and without a pulse (tests/plugins/pulsing.py), through the program of training.
"""

import pytest

from tests.pairing_programs import content, settings
from tools.pairing import train as train_program

PEOPLE = {"PEOPLE": 40, "LASTS": 10.0, "AMPLITUDE": 0.0}
LEARNS = ("params.lr=0.03", "data.pairs_per_epoch=128", "params.batch_size=16", "params.epochs=4",
          "data.training_set_size=0.5", "MODEL.PAIR.PERTURB=[static]")  # fmt: skip


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
def test_a_leak_in_the_background_is_found_and_found_out(tmp_path, faces):
    """Brightness that tells the rate: learnt, as accurate where nothing moves; not learnt where it tells nothing."""
    found, still = accuracies(tmp_path / "leak", faces, "MODEL.PAIR.SPEED=0", LEAK=True)
    assert found["accuracy"]["accuracy"] > 0.8 and still > 0.8
    honest, still = accuracies(tmp_path / "honest", faces, "MODEL.PAIR.SPEED=0", AMPLITUDE=0.02)
    assert abs(still - 0.5) < 0.15 < honest["accuracy"]["accuracy"] - still
