"""Numbers of a choice between two videos: rules, chance, permutations of people, lists."""

import numpy as np
import pytest
import scipy.stats

from evaluation import likely_rates, pairing
from evaluation.heart_rate import spectral_peak_heart_rate
from tests.pairing_tools import hearts_as_vectors


def pairs_of_all(who):
    """Every pair of clips of two people."""
    first, second = np.triu_indices(len(who), 1)
    keep = who[first] != who[second]
    return np.stack([first[keep], second[keep]], axis=1)


def null_p(seed: int, draws: int) -> float:
    """The permutation p of people whose videos say nothing of their hearts."""
    who, videos, hearts, _ = hearts_as_vectors(np.random.default_rng(seed), people=16)
    pairs = pairs_of_all(who)
    return pairing.permuted(pairs, who, videos, hearts, "absolute", draws, seed).p


@pytest.mark.parametrize("rule", ["distance", "absolute", "likelihood", "dot"])
def test_swapped_videos_give_swapped_probabilities(rule):
    """To 1e-6, by whatever rule a score is made."""
    first, second, heart = np.random.default_rng(1).normal(size=(3, 50, len(likely_rates.RATES)))
    heart[:, 0] = np.linspace(40, 190, 50)
    one = pairing.probability(pairing.RULES[rule](first, second, heart))
    other = pairing.probability(pairing.RULES[rule](second, first, heart))
    np.testing.assert_allclose(one + other, 1.0, atol=1e-6)
    assert np.abs(one - 0.5).max() > 0.1


def test_the_rule_of_the_thesis_gives_the_same_in_both_orders():
    """To the bit, so that of two trials of a pair with one heart it gets one right."""
    random = np.random.default_rng(2)
    first, second, heart = random.normal(size=(50, 8)), random.normal(size=(50, 8)), random.normal(size=(50, 13))
    one, other = pairing.symmetric(first, second, heart), pairing.symmetric(second, first, heart)
    assert np.array_equal(one, other) and np.abs(one).max() > 0.01


def test_wilson_is_the_interval_of_the_textbook():
    """As scipy has it."""
    for right, count in ((0, 10), (7, 10), (81, 100), (100, 100)):
        found = scipy.stats.binomtest(right, count).proportion_ci(method="wilson")
        np.testing.assert_allclose(pairing.wilson(right, count), (found.low, found.high), atol=1e-9)
    assert pairing.naive_p(60, 100) == pytest.approx(scipy.stats.binomtest(60, 100, alternative="greater").pvalue)


def test_a_tie_is_half_right_and_no_rate_is_no_choice():
    """Equal scores, and scores that are not there."""
    logit = np.array([0.0, np.nan, 2.0, -2.0])
    assert pairing.rightness(logit, np.array([1.0, 0.0, 1.0, 1.0])).tolist() == [0.5, 0.5, 1.0, 0.0]
    assert pairing.probability(logit)[:2].tolist() == [0.5, 0.5]


def test_people_who_are_told_apart_are_far_from_chance():
    """The smallest p that so many permutations allow; all trials right."""
    who, _, hearts, rates = hearts_as_vectors(np.random.default_rng(3), people=12)
    pairs = pairs_of_all(who)
    assert pairing.permuted(pairs, who, hearts, hearts, "absolute", 199).p == pytest.approx(1 / 200)
    assert pairing.trials(pairs, who, hearts, hearts, rates, "absolute").accuracy == 1.0


def test_a_permutation_moves_whole_people():
    """Where every window of a person has the same vectors, an order of people gives what that order gives by hand."""
    who = np.repeat(np.arange(3), 2)
    values = np.array([1.0, 1.0, 2.0, 2.0, 3.0, 3.0])[:, None]
    found = pairing.permuted(pairs_of_all(who), who, values, values, "absolute", 300).accuracies
    possible = set()
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        given = np.concatenate([2 * order[k] + np.arange(2) for k in range(3)])
        possible.add(pairing.accuracy_with(given, pairs_of_all(who), values, values, "absolute"))
    assert set(found) == possible


def test_windows_that_depend_on_each_other_do_not_make_chance_significant():
    """Of 60 null data sets p is below 0.05 in few, and the binomial p, which ignores people, in far more."""
    found = np.array([null_p(seed, 199) for seed in range(60)])
    assert (found < 0.05).mean() <= 0.12
    naive = []
    for seed in range(60):
        who, videos, hearts, rates = hearts_as_vectors(np.random.default_rng(seed), people=16)
        own = pairing.trials(pairs_of_all(who), who, videos, hearts, rates, "absolute")
        naive.append(pairing.score_of(own).naive_p)
    assert (np.array(naive) < 0.05).mean() > 0.2


@pytest.mark.slow
def test_two_hundred_null_data_sets():
    """p below 0.05 in 2 to 9 % of them."""
    found = np.array([null_p(seed, 1000) for seed in range(200)])
    assert 0.02 <= (found < 0.05).mean() <= 0.09


def test_accuracy_over_the_difference_of_rates():
    """Trials are counted once each, in the bin of their difference; a comparison of noisy rates gets better."""
    random = np.random.default_rng(5)
    who, _, hearts, rates = hearts_as_vectors(random, people=30)
    told = rates + random.normal(0, 6, len(rates))
    own = pairing.trials(pairs_of_all(who), who, told[:, None], hearts, rates, "absolute")
    bins = list(pairing.by_difference(own).values())
    assert sum(one.count for one in bins) == 2 * len(own.pairs) and bins[-1].accuracy > bins[0].accuracy


def test_a_difference_of_methods_is_over_people():
    """A method against itself: nothing; a perfect one against chance: better, with an interval above 0."""
    who, videos, hearts, rates = hearts_as_vectors(np.random.default_rng(6), people=20)
    pairs = pairs_of_all(who)
    chance = pairing.trials(pairs, who, videos, hearts, rates, "absolute")
    right = pairing.trials(pairs, who, hearts, hearts, rates, "absolute")
    assert pairing.difference(chance, chance) == pairing.Difference(0.0, 0.0, 0.0)
    found = pairing.difference(right, chance)
    assert found.better and found.low < found.value < found.high


def test_classes_are_those_of_scikit_learn():
    """Macro precision, recall and F1, AUROC, confusion."""
    metrics = pytest.importorskip("sklearn.metrics")
    who, videos, hearts, rates = hearts_as_vectors(np.random.default_rng(7), people=10, skill=0.5)
    own = pairing.trials(pairs_of_all(who), who, videos, hearts, rates, "absolute")
    found, said = pairing.classes_of(own), own.logit > 0
    want = metrics.precision_recall_fscore_support(own.second, said, average="macro")[:3]
    np.testing.assert_allclose((found.precision, found.recall, found.f1), want)
    assert found.auroc == pytest.approx(metrics.roc_auc_score(own.second, own.logit))
    assert found.confusion == metrics.confusion_matrix(own.second, said).tolist()


def test_rates_of_videos_decide_for_the_nearer_one():
    """Swapped rates give the other sign; a video without a rate loses to a near one and wins against a far one."""
    assert pairing.rate_logit(60, 80, 79) > 3 and pairing.rate_logit(60, 80, 79) == -pairing.rate_logit(80, 60, 79)
    assert pairing.rate_logit(60, float("nan"), 60.5) < -1 < 1 < pairing.rate_logit(60, float("nan"), 110)
    assert pairing.rate_logit(float("nan"), float("nan"), 70) == 0.0


def noisy_pulses(random, rates, seconds=10.0, fs=30.0, noise=4.5):
    """Waves (N, T) of sines in white noise."""
    clock = np.arange(round(seconds * fs)) / fs
    phases = random.uniform(0, 2 * np.pi, (len(rates), 1))
    waves = np.sin(2 * np.pi * np.asarray(rates)[:, None] / 60 * clock + phases)
    return waves + random.normal(0, noise, waves.shape)


def test_likelihoods_of_the_rate_decide_more_than_highest_peaks():
    """Of 60 waves in noise: the share of right trials by both, on the same pairs."""
    random = np.random.default_rng(8)
    rates, who = random.uniform(50, 120, 60), np.arange(60)
    waves = noisy_pulses(random, rates)
    logs = np.stack([likely_rates.log_likelihood(wave, 30.0) for wave in waves])
    peaks = np.array([[spectral_peak_heart_rate(wave, 30.0)] for wave in waves])
    by_all, by_peak = (
        pairing.trials(pairs_of_all(who), who, told, rates[:, None], rates, rule).accuracy
        for told, rule in ((logs, "likelihood"), (peaks, "absolute"))
    )
    assert by_all > by_peak + 0.1


def test_a_likelihood_is_a_density_and_says_nothing_without_a_wave():
    """It adds up to 1 over all rates, is highest at the rate; of no wave, and of a constant, all rates are alike."""
    wave = noisy_pulses(np.random.default_rng(9), [80.2], noise=0.3)[0]
    logs = likely_rates.log_likelihood(wave, 30.0)
    assert np.exp(logs).sum() * likely_rates.STEP == pytest.approx(1.0, abs=0.01)
    assert likely_rates.RATES[logs.argmax()] == pytest.approx(80.2, abs=1.0)
    for nothing in (None, np.full(300, 2.0)):
        flat = likely_rates.log_likelihood(nothing, 30.0)
        assert np.ptp(flat) == 0.0 and logs.max() > flat[0] + 2 and logs.min() < flat[0] - 2


def test_a_likelihood_is_read_between_its_rates():
    """Linearly; beyond the lowest and the highest rate it is theirs."""
    logs = np.stack([likely_rates.RATES, -likely_rates.RATES])
    found = likely_rates.at_rate(logs, np.array([61.3, 20.0]))
    np.testing.assert_allclose(found, [61.3, -likely_rates.LOWEST])
