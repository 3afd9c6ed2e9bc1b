"""Standards for blood pressure: every border of every grade, just inside and just outside; who may claim what."""

import numpy as np
import pytest
import scipy

from evaluation import standards

NEAR = 1e-3  # mmHg


def exactly(mean, sd, count=256):
    """`count` errors with this mean and this sample SD, to the last digits."""
    values = np.resize([-1.0, 1.0], count)
    values -= values.mean()
    return mean + sd * values / values.std(ddof=1)


def people(count, each=3):
    """Names of `count` subjects, `each` readings a subject."""
    return [f"s{number}" for number in range(count) for _ in range(each)]


@pytest.mark.parametrize(("mean", "sd", "count", "passes"), [
    (5 - NEAR, 8 - NEAR, 86, True), (5, 8, 86, True), (-5, 8, 86, True), (5 + NEAR, 8, 86, False),
    (-5 - NEAR, 8, 86, False), (0, 8 + NEAR, 86, False), (0, 1, 85, True), (0, 1, 84, False),
])  # fmt: skip
def test_criterion_1(mean, sd, count, passes):
    """Mean within 5, SD at most 8 mmHg, 85 subjects."""
    found = standards.aami(exactly(mean, sd, 3 * count), people(count))
    assert found["pass"] is passes
    assert (found["me"], found["sd"], found["n_subjects"]) == (pytest.approx(mean), pytest.approx(sd), count)


@pytest.mark.parametrize(("readings", "passes"), [(254, False), (255, True)])
def test_criterion_1_asks_for_255_readings(readings, passes):
    """Of 85 subjects, one has one less."""
    assert standards.aami(np.zeros(readings), people(85)[:readings])["pass"] is passes


@pytest.mark.parametrize(("mean", "printed"), [(0, 6.95), (1, 6.87), (2, 6.65), (3, 6.25), (4, 5.64), (5, 4.81)])
def test_the_limit_of_criterion_2_is_that_of_the_printed_table(mean, printed):
    """To its two digits, either way; and 85 % of that normal error lie within 10 mmHg."""
    limit = standards.largest_sd(mean)
    assert limit == pytest.approx(printed, abs=0.011) and limit == standards.largest_sd(-mean)
    normal = scipy.stats.norm(mean, limit)
    assert normal.cdf(10) - normal.cdf(-10) == pytest.approx(0.85, abs=1e-9)


def test_no_spread_is_small_enough_for_a_mean_of_ten():
    """The limit falls to nothing."""
    assert standards.largest_sd(9.999) < 0.001 and standards.largest_sd(10) == standards.largest_sd(30) == 0


@pytest.mark.parametrize("mean", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("step", [-NEAR, NEAR])
def test_criterion_2_judges_the_means_of_subjects(mean, step):
    """Just inside and just outside; what differs within a subject does not count."""
    limit = standards.largest_sd(mean)
    own = exactly(mean, limit + step, 86)
    within = np.tile([-20.0, 0.0, 20.0], 86)
    found = standards.iso_criterion2(np.repeat(own, 3) + within, people(86))
    assert found["pass"] is (step < 0) and found["sd"] == pytest.approx(limit + step)


def test_criterion_2_needs_85_subjects():
    """84 perfect ones are too few."""
    assert not standards.iso_criterion2(np.zeros(252), people(84))["pass"]
    assert standards.iso_criterion2(np.zeros(255), people(85))["pass"]


def shares(within5, within10, within15):
    """1000 errors of which these percents lie within 5, 10 and 15 mmHg."""
    counts = np.diff([0, round(10 * within5), round(10 * within10), round(10 * within15), 1000])
    return np.repeat([5.0, -10.0, 15.0, 15.0 + NEAR], counts)


@pytest.mark.parametrize(("percents", "grade"), [
    ((60, 85, 95), "A"), ((59.9, 85, 95), "B"), ((60, 84.9, 95), "B"), ((60, 85, 94.9), "B"),
    ((50, 75, 90), "B"), ((49.9, 75, 90), "C"), ((50, 74.9, 90), "C"), ((50, 75, 89.9), "C"),
    ((40, 65, 85), "C"), ((39.9, 65, 85), "D"), ((40, 64.9, 85), "D"), ((40, 65, 84.9), "D"),
])  # fmt: skip
def test_bhs(percents, grade):
    """All three shares must hold; an error of exactly 5, 10 or 15 is within."""
    found = standards.bhs(shares(*percents))
    assert found["grade"] == grade
    assert [found[key] for key in ("le5", "le10", "le15")] == pytest.approx(list(percents))


@pytest.mark.parametrize(("mad", "grade"), [
    (5 - NEAR, "A"), (5, "A"), (5 + NEAR, "B"), (6, "B"), (6 + NEAR, "C"), (7 - NEAR, "C"), (7, "D"), (7 + NEAR, "D"),
])  # fmt: skip
def test_ieee_1708(mad, grade):
    """A to 5, B to 6, C below 7, D from 7."""
    assert standards.ieee1708(np.array([mad, -mad]))["grade"] == grade


def sexes(count, women):
    """Subject -> sex, the first `women` of them female."""
    return {f"s{number}": "f" if number < women else "m" for number in range(count)}


def spread(target, low, high, middle, count=1000):
    """References of which so many of 1000 are low, high and, beside the high ones, middling."""
    edges = {"sbp": (100, 160, 140, 120), "dbp": (60, 100, 85, 75)}[target]
    return np.repeat(np.array(edges, float), [low, high, middle, count - low - high - middle])


@pytest.mark.parametrize(("count", "each", "reasons"), [(85, 3, 0), (84, 3, 1), (85, 2, 1), (300, 1, 1)])
def test_who_may_claim_85_subjects_with_three_readings_each(count, each, reasons):
    """More readings do not make up for people, nor people for readings."""
    assert len(standards.too_few(people(count, each))) == reasons


@pytest.mark.parametrize(("alike", "reasons"), [(50, 0), (51, 1), (100, 1)])
def test_one_cuff_reading_for_three_pieces_counts_once(alike, reasons):
    """Of 100 people with three readings so many have the same reference for all."""
    true = np.arange(300.0)
    true[: 3 * alike] = np.repeat(true[: 3 * alike : 3], 3)
    assert len(standards.one_reading(people(100), true)) == reasons


@pytest.mark.parametrize(("women", "reasons"), [(30, 0), (29, 1), (70, 0), (71, 1)])
def test_who_may_claim_30_percent_of_each_sex(women, reasons):
    """Of 100 subjects."""
    assert len(standards.one_sided(people(100), sexes(100, women))) == reasons


def test_a_sex_that_is_not_known_is_a_reason():
    """One of a hundred."""
    assert "1 of 100" in standards.one_sided(people(100), {**sexes(100, 50), "s7": ""})[0]


@pytest.mark.parametrize("target", ["sbp", "dbp", "right_arm_sbp"])
@pytest.mark.parametrize(("low", "high", "middle", "reasons"), [
    (50, 50, 150, 0), (49, 50, 150, 1), (50, 49, 151, 1), (50, 50, 149, 1), (0, 0, 0, 3),
])  # fmt: skip
def test_who_may_claim_the_spread_of_pressures(target, low, high, middle, reasons):
    """5 % low, 5 % high, 20 % raised: values on the border count."""
    true = spread(standards.kind_of(target), low, high, middle)
    assert len(standards.too_narrow(target, true)) == reasons


def test_nothing_is_ever_a_validation_but_the_data_may_qualify():
    """Perfect errors of perfect data: no reason but that nobody validated; each standard has its own others."""
    true = np.random.default_rng(0).permutation(spread("sbp", 15, 15, 45, 300))
    found = standards.graded("sbp", np.zeros(300), true, people(100), sexes(100, 50))
    assert found["data_qualify"] and found["verdict"] == "not a validation"
    assert found["claims"]["AAMI/ISO 81060-2"] == [standards.RETROSPECTIVE]
    assert len(found["claims"]["BHS"]) == 1 and len(found["claims"]["IEEE 1708"]) == 2
    line = standards.graded("sbp", np.zeros(300), true, people(100), sexes(100, 50), arterial=True, calibrated=True)
    assert "arterial line" in line["claims"]["BHS"][0] and len(line["claims"]["IEEE 1708"]) == 1
    assert "six tests" in found["claims"]["ESH 2023"][0]


@pytest.mark.parametrize(("name", "kind"), [
    ("sbp", "sbp"), ("right_arm_dbp", "dbp"), ("left_arm_mbp", "mbp"), ("MAP", "mbp"), ("right_arm_pp", "pp"),
    ("bmi", ""),
])  # fmt: skip
def test_targets_by_their_names(name, kind):
    """As data sets call them."""
    assert standards.kind_of(name) == kind


def test_categories_begin_at_their_borders():
    """A systolic pressure of 120 belongs to 120-130, 119.9 below it; 180 to the last."""
    true = np.array([119.9, 120.0, 129.9, 130.0, 140.0, 179.9, 180.0])
    found = standards.by_category("sbp", np.arange(7.0), true)
    assert [one["n"] for one in found] == [1, 2, 1, 2, 1]
    assert found[1]["mae"] == 1.5 and found[-1]["category"] == ">= 180"
    assert standards.by_category("pp", np.zeros(7), true) == []


def test_one_reading_passes_nothing():
    """Its SD is not defined."""
    found = standards.graded("sbp", np.zeros(1), np.array([120.0]), ["s0"], {})
    assert not found["aami"]["pass"] and not found["iso_criterion2"]["pass"] and not found["data_qualify"]
