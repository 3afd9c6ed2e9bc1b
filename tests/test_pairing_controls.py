"""What a network for pairs must not find, and what finds it out: people without a pulse, and a leak that stands still.

People without a face and without a pulse (tests/plugins/pulsing.py), through the programs. Of chance one accuracy in
twenty lies outside of its 95 %, so that no single set of people shows a leak or its absence: a network is tested on
several sets that it was not trained on, and their permutation p are put together (Fisher, "Statistical methods for
research workers", 1925).
"""

import pytest
import scipy.stats

from tests.pairing_programs import content, settings
from tools.pairing import evaluate as evaluate_program
from tools.pairing import train as train_program

PEOPLE = {"PEOPLE": 40, "LASTS": 10.0, "AMPLITUDE": 0.0}
LEARNS = ("params.lr=0.03", "data.pairs_per_epoch=128", "params.batch_size=16", "params.epochs=4",
          "data.training_set_size=0.5", "MODEL.PAIR.PERTURB=[static]")  # fmt: skip
OTHERS = ("data.training_set_size=0.1", "MODEL.PAIR.PERMUTATIONS=1000")  # nearly half of the people are tested
WORLDS = range(1, 11)  # sets of other people


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


def p_of_others(folder, faces, **people):
    """The permutation p of all WORLDS together, tested by the network that was trained in `folder`."""
    found = []
    for world in WORLDS:
        own = {**PEOPLE, **people, "WORLD": world}
        changes = settings(folder / f"{world}", *OTHERS, data=faces, **own)
        model = str(folder / "models" / "pairing_PairNet21.pt")
        assert evaluate_program.main([*changes, "--model", model]) == 0
        one = content(folder / f"{world}", *OTHERS, data=faces, **own)
        found.append(one["permutation"]["p"])
    return scipy.stats.combine_pvalues(found, method="fisher").pvalue


@pytest.mark.slow
def test_without_a_pulse_a_network_is_at_chance(tmp_path, faces):
    """Ten sets of people whose pictures hold no pulse are decided no better than chance."""
    accuracies(tmp_path, faces)
    assert p_of_others(tmp_path, faces) > 0.01


@pytest.mark.slow
def test_a_leak_in_the_background_is_found_and_found_out(tmp_path, faces):
    """Brightness that tells the rate: learnt, as accurate where nothing moves; not learnt where it tells nothing."""
    found, still = accuracies(tmp_path / "leak", faces, "MODEL.PAIR.SPEED=0", LEAK=True)
    assert found["accuracy"]["accuracy"] > 0.8 and still > 0.8
    assert p_of_others(tmp_path / "leak", faces, LEAK=True) < 1e-6
    honest, still = accuracies(tmp_path / "honest", faces, "MODEL.PAIR.SPEED=0", AMPLITUDE=0.02)
    assert abs(still - 0.5) < 0.15 < honest["accuracy"]["accuracy"] - still


@pytest.mark.slow
def test_clips_at_another_speed_keep_a_network_from_the_leak(tmp_path, faces):
    """As configurations have it: of clips whose rate was changed the brightness says nothing, so it is not learnt.

    What a network makes of brightness by accident it makes of everybody's, so that no permutation of people tells.
    """
    found, still = accuracies(tmp_path, faces, LEAK=True)
    assert abs(still - 0.5) < 0.2 and abs(found["accuracy"]["accuracy"] - 0.5) < 0.2
