"""Tests between methods: uniform where nothing differs, right where it can be worked out, Nemenyi's published ones."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from evaluation.comparing.hypothesis import critical_difference, friedman, holm, pairs, permutation, wilcoxon


@pytest.mark.parametrize(("test", "people"), [(permutation, 12), (permutation, 20), (wilcoxon, 20), (wilcoxon, 40)])
def test_p_is_uniform_where_nothing_differs(test, people):
    """Of 1,000 studies about 50 are below 0.05, about 100 below 0.1, and the whole lies on the diagonal."""
    random = np.random.default_rng(7)
    p = np.array([test(random.standard_t(4, people)) for _ in range(1000)])
    assert abs((p <= 0.05).mean() - 0.05) < 0.02 and abs((p <= 0.1).mean() - 0.1) < 0.03
    assert stats.kstest(p + random.uniform(-1, 0, 1000) * 2.0**-11, "uniform").pvalue > 0.01


def test_permutation_counts_all_signs():
    """By hand: three people, all better by 1, 2 and 4: only two of eight sums are as large."""
    assert permutation([1, 2, 4]) == 2 / 8 and permutation([-1, -2, -4]) == 2 / 8
    assert permutation([1, -1]) == 1.0 and permutation([]) == 1.0 and permutation([0.0, 0.0]) == 1.0


def test_permutation_agrees_with_an_independent_one():
    """SciPy's, which tries all signs of twelve people, too; random ones of twenty come near."""
    values = np.random.default_rng(2).normal(0.4, 1, 20)
    exact = stats.permutation_test((values[:12],), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert permutation(values[:12]) == pytest.approx(exact.pvalue)
    other = stats.ttest_1samp(values, 0).pvalue
    assert permutation(values) == pytest.approx(other, abs=0.02)


def test_wilcoxon_counts_all_ranks():
    """By hand: every assignment of signs to the ranks of seven people."""
    values = np.array([0.3, -0.1, 0.8, 1.1, -0.2, 0.9, 2.0])
    ranks = stats.rankdata(np.abs(values))
    observed = ranks[values > 0].sum()
    sums = np.array([ranks @ np.array(sign) for sign in itertools.product((0, 1), repeat=7)])
    middle = ranks.sum() / 2
    assert wilcoxon(values) == pytest.approx((np.abs(sums - middle) >= abs(observed - middle)).mean())
    assert wilcoxon([0.0, 0.0]) == 1.0 and 0 < wilcoxon([1.0, 1.0, 1.0, -1.0]) <= 1


def test_holm_by_hand():
    """The smallest counts three times, none overtakes the one before, none exceeds 1; order is kept."""
    assert holm([0.02, 0.01, 0.6]) == pytest.approx([0.04, 0.03, 0.6])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []
    assert holm([0.01, 0.011, 0.012]) == pytest.approx([0.03, 0.03, 0.03])


def test_holm_keeps_the_error_of_a_family():
    """Of 2,000 families of six comparisons without any difference at most 5 % find one."""
    random = np.random.default_rng(0)
    wrong = np.mean([min(holm(random.random(6))) <= 0.05 for _ in range(2000)])
    assert wrong == pytest.approx(0.05, abs=0.015)


def test_friedman_and_its_ranks():
    """Demsar's formula, worked out from the ranks; methods come best first."""
    scores = np.random.default_rng(1).normal([[0.0, 1.0, 0.2, 3.0]], 1.0, size=(12, 4))
    found = friedman(scores, ["a", "b", "c", "d"])
    ranks = np.array([stats.rankdata(row) for row in scores]).mean(axis=0)
    chi = 12 * 12 / (4 * 5) * ((ranks**2).sum() - 4 * 25 / 4)
    assert found.statistic == pytest.approx(chi) and found.p == pytest.approx(stats.chi2.sf(chi, 3))
    assert list(found.ranks.values()) == sorted(ranks) and list(found.ranks)[-1] == "d"
    assert any(set(group) == {"a", "c"} or {"a", "c"} <= set(group) for group in found.alike)
    assert not any({"a", "d"} <= set(group) for group in found.alike)


def test_friedman_is_uniform_and_refuses_too_few():
    """Five methods on thirty people that do not differ; two methods are no ranking; equal ones have p = 1."""
    random = np.random.default_rng(3)
    p = [friedman(random.normal(size=(30, 5)), list("abcde")).p for _ in range(300)]
    assert abs(np.mean(np.array(p) <= 0.05) - 0.05) < 0.03
    with pytest.raises(ValueError, match="three methods"):
        friedman(np.zeros((5, 2)), ["a", "b"])
    assert friedman(np.ones((5, 3)), ["a", "b", "c"]).p == 1.0


@pytest.mark.parametrize(("methods", "quantile"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_differences_are_the_published_ones(methods, quantile):
    """The q values at 5 % of Demsar's table 5."""
    expected = quantile * math.sqrt(methods * (methods + 1) / (6 * 14))
    assert critical_difference(methods, 14) == pytest.approx(expected, rel=5e-4)


def test_pairs_are_paired_by_person():
    """People differ by 20 bpm, the methods by 1: paired, that is seen; the interval holds it; p is corrected."""
    random = np.random.default_rng(4)
    hard = random.uniform(0, 20, 20)
    scores = np.stack([hard, hard + 1 + random.normal(0, 0.5, 20), hard + random.normal(0, 0.5, 20)], axis=1)
    first, second, _ = pairs(scores, ["a", "b", "c"])
    assert (first.first, first.second, first.people) == ("a", "b", 20) and first.low < 1 < first.high
    assert first.p_permutation < 0.001 and first.p_permutation_holm == pytest.approx(3 * first.p_permutation)
    assert first.p_wilcoxon < 0.001 < second.p_wilcoxon_holm and second.p_permutation > 0.01
