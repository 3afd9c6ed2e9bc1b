"""Numbers of classes: each against an independent way to get it, or against its closed form."""

import itertools

import numpy as np
import pytest
import sklearn.metrics as other

from evaluation import classification as own

RNG = np.random.default_rng(7)
N, K = 60, 4
SCORES = np.round(RNG.random(N), 1)  # ties on purpose
TRUE = RNG.random(N) < 0.3 + 0.4 * SCORES
CLASSES, FOUND = RNG.integers(0, K, N), RNG.integers(0, K, N)
PROBABILITIES, THERE = RNG.dirichlet(np.ones(K), N), RNG.random((N, K)) < 0.3
ONES = np.ones(N)


def test_auroc_is_the_share_of_pairs_in_order():
    """Counted pair by pair; a tie is half."""
    pairs = [
        (a > b) + 0.5 * (a == b)
        for (a, there), (b, not_there) in itertools.product(zip(SCORES, TRUE, strict=True), repeat=2)
        if there and not not_there
    ]
    assert own.auroc(SCORES, TRUE)(ONES) == pytest.approx(np.mean(pairs), abs=1e-12)


def test_average_precision_is_the_other_librarys():
    """With ties and without."""
    for scores in (SCORES, RNG.random(N)):
        expected = other.average_precision_score(TRUE, scores)
        assert own.average_precision(scores, TRUE)(ONES) == pytest.approx(expected, abs=1e-12)


def test_a_score_that_says_nothing_has_half_the_area_and_the_prevalence():
    """Closed forms of a constant."""
    flat = np.full(N, 0.3)
    assert own.auroc(flat, TRUE)(ONES) == 0.5
    assert own.average_precision(flat, TRUE)(ONES) == pytest.approx(TRUE.mean())


@pytest.mark.parametrize("name", ["auroc", "average_precision"])
def test_weights_are_repetitions(name):
    """A row of weight 2 counts as two rows, one of weight 0 as none; several weights at once."""
    weights = RNG.integers(0, 3, (5, N))
    found = getattr(own, name)(SCORES, TRUE)(weights)
    repeated = [getattr(own, name)(np.repeat(SCORES, one), np.repeat(TRUE, one))(np.ones(one.sum())) for one in weights]
    np.testing.assert_allclose(found, repeated, atol=1e-12)


@pytest.mark.parametrize("true", [np.zeros(N, bool), np.ones(N, bool)])
def test_without_both_kinds_of_rows_there_is_no_area(true):
    """NaN, not 0 or 1."""
    assert np.isnan(own.auroc(SCORES, true)(ONES))


def test_a_mean_is_over_the_labels_with_both_kinds():
    """A label nobody has, and one that everybody has, do not enter."""
    there = THERE.copy()
    there[:, 0], there[:, 1] = False, True
    expected = np.mean([other.roc_auc_score(there[:, k], PROBABILITIES[:, k]) for k in (2, 3)])
    assert own.macro(own.auroc, PROBABILITIES, there)(ONES) == pytest.approx(expected)
    assert np.isnan(own.macro(own.auroc, PROBABILITIES, there[:, :2])(ONES))


def test_decisions_are_the_other_librarys():
    """Balanced accuracy, kappa and weighted F1 of class numbers."""
    matrix = own.confusion(CLASSES, FOUND, K, ONES)
    np.testing.assert_array_equal(matrix, other.confusion_matrix(CLASSES, FOUND))
    assert own.balanced_accuracy(matrix) == pytest.approx(other.balanced_accuracy_score(CLASSES, FOUND))
    assert own.kappa(matrix) == pytest.approx(other.cohen_kappa_score(CLASSES, FOUND))
    parts = own.counts(np.eye(K)[CLASSES], np.eye(K)[FOUND], ONES)
    expected = other.f1_score(CLASSES, FOUND, average="weighted", zero_division=0)
    assert own.weighted_f1(parts) == pytest.approx(expected)


def test_one_answer_for_all_has_no_kappa_and_one_of_k_balanced():
    """Closed forms of the majority."""
    matrix = own.confusion(CLASSES, np.zeros(N, int), K, ONES)
    assert own.kappa(matrix) == pytest.approx(0) and own.balanced_accuracy(matrix) == pytest.approx(1 / K)


def test_a_class_that_nobody_has_does_not_enter_the_balance():
    """Three of four classes occur; what is taken for the fourth is wrong."""
    true, found = np.array([0, 0, 1, 2]), np.array([0, 3, 1, 0])
    assert own.balanced_accuracy(own.confusion(true, found, 4, np.ones(4))) == pytest.approx((0.5 + 1 + 0) / 3)


def test_labels_are_counted_as_by_hand():
    """Label accuracy and weighted F1 of several labels."""
    found = PROBABILITIES >= 0.5
    parts = own.counts(THERE, found, ONES)
    assert own.label_accuracy(parts) == pytest.approx((THERE == found).mean())
    expected = other.f1_score(THERE, found, average="weighted", zero_division=0)
    assert own.weighted_f1(parts) == pytest.approx(expected)


def test_saying_nothing_is_right_as_often_as_labels_are_absent():
    """The all-negative baseline."""
    parts = own.counts(THERE, np.zeros_like(THERE), ONES)
    assert own.label_accuracy(parts) == pytest.approx(1 - THERE.mean()) and own.weighted_f1(parts) == 0


def test_calibration_error_is_counted_bin_by_bin():
    """By loops over rows."""
    confidence, right = RNG.random(N), RNG.random(N) < 0.5
    total = 0.0
    for k in range(own.BINS):
        inside = [j for j in range(N) if k <= confidence[j] * own.BINS < k + 1]
        if inside:
            total += len(inside) / N * abs(np.mean(confidence[inside]) - np.mean(right[inside]))
    assert own.calibration_error(confidence, right)(ONES) == pytest.approx(total)


def test_calibration_error_of_the_closed_forms():
    """Sure and always right: 0; sure and right half the time: 0.5; 1 falls into the last bin."""
    assert own.calibration_error(np.ones(10), np.ones(10))(np.ones(10)) == 0
    assert own.calibration_error(np.ones(10), np.arange(10) % 2)(np.ones(10)) == pytest.approx(0.5)


def test_decisions_take_weights():
    """Matrices of several weights at once."""
    weights = RNG.integers(0, 3, (3, N))
    matrices = own.confusion(CLASSES, FOUND, K, weights)
    again = [own.confusion(np.repeat(CLASSES, w), np.repeat(FOUND, w), K, np.ones(w.sum())) for w in weights]
    np.testing.assert_array_equal(matrices, again)
    parts = own.counts(np.eye(K)[CLASSES], np.eye(K)[FOUND], weights)
    np.testing.assert_allclose(parts.sum(axis=-1), np.repeat(weights.sum(axis=1)[:, None], K, axis=1))
