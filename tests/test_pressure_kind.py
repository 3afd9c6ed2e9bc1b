"""The kind `pressure`: baselines beside the model, marks, protocols, what a later test remembers, its files."""

import csv
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest

from evaluation import protocols
from evaluation.kinds.base import Head, Predicted
from evaluation.kinds.pressure import MEAN, fisher, marked
from registry import KINDS

PEOPLE = 40


def person(number, reading, random):
    """An entry of a person whose systolic pressure follows age, beside an offset of one's own."""
    age = 20 + number
    targets = {"sbp": 80 + age + random.normal(0, 8), "dbp": 75 + random.normal(0, 5)}
    info = {"age": age, "sex": number % 2, "bmi": 25.0, "hr": 70.0}
    return SimpleNamespace(id=f"p{number}_{reading}", subject=f"p{number}", targets=targets, info=info, signals={})


def entries(count=PEOPLE, each=3, seed=0):
    """So many people, `each` readings."""
    random = np.random.default_rng(seed)
    return [person(number, reading, random) for number in range(count) for reading in range(each)]


def predictions(found, error):
    """What a network gives for entries: the truth plus `error(entry)` for both targets."""
    return [
        Predicted(one.id, one.subject, {0: {"bp": np.array([v + error(one) for v in one.targets.values()])}},
                  entry=one, source=one)
        for one in found
    ]  # fmt: skip


def head(train=(), **options):
    """The output `bp` of a method, with what the kind finds in `train`."""
    made = Head("bp", "pressure", "Mine", None, parts=("sbp", "dbp"), units={"sbp": "mmHg", "dbp": "mmHg"},
                options={"calibrate": "none", "k": 1, "seed": 3, **options})  # fmt: skip
    constant = KINDS["pressure"]().training(train, made) if train else None
    return Head(**{**vars(made), "constant": constant})


def renamed(found):
    """The same people under other names, so that nobody who is tested was trained on."""
    for one in found:
        one.id, one.subject = f"t{one.id}", f"t{one.subject}"
    return found


TRAIN, TEST = entries(seed=1), renamed(entries(seed=2))


def judged(error, **options):
    """What the kind finds where the model is wrong by `error(entry)`."""
    own = head(TRAIN, **options)
    return KINDS["pressure"]().evaluate(predictions(TEST, error), own), own


def noise(size, seed=5):
    """An error for each entry, the same for both targets."""
    random = np.random.default_rng(seed)
    drawn = {one.id: random.normal(0, size) for one in TEST}
    return lambda one: drawn[one.id]


def protocol(found, name, target="sbp"):
    """The tables of a target under a protocol."""
    return next(one for one in found.protocols if (one.name, one.target) == (name, target))


def mae(one, method):
    """Of a method in the tables of a protocol."""
    return next(table.scores["MAE"] for table in one.tables if table.method == method)


def test_baselines_stand_beside_the_model_on_the_same_readings():
    """The mean of training, age + sex + BMI near its rule; no arrival time without an ECG."""
    found, own = judged(noise(2))
    one = protocol(found, "calibration_free")
    names = [table.method for table in one.tables]
    assert names == ["Mine", MEAN, "age + sex + BMI", "age + sex + BMI + heart rate"]
    assert len({tuple(row.id for row in table.rows) for table in one.tables}) == 1
    true, mean = np.array([e.targets["sbp"] for e in TEST]), np.mean([e.targets["sbp"] for e in TRAIN])
    assert mae(one, MEAN) == pytest.approx(np.abs(true - mean).mean())
    assert mae(one, "age + sex + BMI") == pytest.approx(
        np.abs(true - 80 - [e.info["age"] for e in TEST]).mean(), rel=0.1
    )


def test_a_model_is_marked_by_what_it_does_not_beat():
    """Better than the mean, worse than age + sex + BMI; better than both; in text, in JSON, for the screen."""
    found, own = judged(noise(9))
    one = protocol(found, "calibration_free")
    assert one.not_better_than == ["age + sex + BMI", "age + sex + BMI + heart rate"]
    assert marked(one).startswith("NOT BETTER than age + sex + BMI")
    section = KINDS["pressure"]().section(found, own)
    assert any("NOT BETTER" in part for part in section.markdown)
    table = next(t for t in section.content["tables"] if t["target"] == "sbp" and not t["baseline"])
    assert table["not_better_than"] == one.not_better_than
    assert any("NOT BETTER" in line for line in KINDS["pressure"]().lines(found, own))
    assert protocol(judged(noise(1))[0], "calibration_free").not_better_than == []


def test_the_comparison_is_paired_and_over_subjects():
    """A constant advantage of 1 mmHg over the baseline is certain though both scatter by 10."""
    own = head(TRAIN)
    mean = own.constant["mean"]["sbp"]
    found = predictions(TEST, lambda one: 0.0)
    for one in found:
        truth = one.entry.targets["sbp"]
        one.clips[0]["bp"][0] = truth + np.sign(mean - truth) * max(abs(mean - truth) - 1, 0)
    one = protocol(KINDS["pressure"]().evaluate(found, own), "calibration_free")
    compared = next(each for each in one.comparisons if each.baseline == MEAN)
    assert compared.better and compared.high == pytest.approx(-1, abs=0.1)


def test_people_who_were_trained_on_make_another_protocol():
    """One of them is enough."""
    own = head(TRAIN)
    found = KINDS["pressure"]().evaluate(predictions([*TEST, TRAIN[0]], lambda one: 0.0), own)
    assert {one.name for one in found.protocols} == {protocols.KNOWN}


def test_linear_calibration_is_fitted_to_the_validation_alone():
    """Predictions twice too steep come right; the raw table stays beside it."""
    kind, valid = KINDS["pressure"](), renamed(entries(20, seed=7))

    def steep(one):
        return one.targets["sbp"] - 30

    made = head(TRAIN, calibrate="linear_val")
    known = kind.validation(predictions(valid, steep), made)
    own = Head(**{**vars(made), "validation": known})
    found = kind.evaluate(predictions(TEST, steep), own)
    assert {one.name for one in found.protocols} == {"calibration_free", "linear_val"}
    assert mae(protocol(found, "calibration_free"), "Mine") > 50
    assert mae(protocol(found, "linear_val"), "Mine") < 1e-6 and known["line"]["sbp"] == pytest.approx([15, 0.5])
    rows = list(csv.DictReader(io.StringIO(kind.section(found, own).files["test_predictions.csv"])))
    assert float(rows[0]["sbp_cal"]) == pytest.approx(float(rows[0]["sbp_true"]), abs=1e-4)
    assert float(rows[0]["sbp_pred"]) > float(rows[0]["sbp_true"]) + 30


def test_personal_calibration_judges_the_other_readings():
    """An offset of each person's own goes; its mean becomes that of the person; too few readings are counted."""
    offsets = {one.subject: 10.0 * (number % 7) for number, one in enumerate(TEST)}
    short = renamed(entries(2, each=1, seed=9))
    for number, one in enumerate(short):
        one.id, one.subject = f"short{number}", f"short{number}"
    own = head(TRAIN, calibrate="personal", k=2)
    every = predictions([*TEST, *short], lambda one: offsets.get(one.subject, 0.0))
    found = KINDS["pressure"]().evaluate(every, own)
    one = protocol(found, "personal 2")
    assert mae(one, "Mine") < 1e-6 and one.lacking == 2 and len(one.own.valid) == PEOPLE
    assert mae(one, MEAN) < 0.75 * mae(protocol(found, "calibration_free"), MEAN)


def test_the_readings_that_calibrate_are_drawn_by_seed_and_person():
    """The same again, others with another seed, the first on demand; who else is tested does not matter."""

    def used(rows, **options):
        own = {"first": False, "seed": 1, **options}
        shift = lambda row, offsets: row  # noqa: E731
        kept, _ = protocols.personal(rows, 1, own["first"], own["seed"], shift, lambda row: {"": 0.0})
        return [row.id for row in rows if row not in kept]

    rows = [SimpleNamespace(subject=one.subject, id=one.id) for one in TEST]
    assert used(rows) == used(rows) != used(rows, seed=2)
    assert used(rows[:30]) == used(rows)[:10]
    assert used(rows, first=True) == [row.id for row in rows[::3]]


def test_a_later_test_of_the_weights_has_the_same_tables():
    """What the kind wants to remember survives JSON and gives the same numbers."""
    kind = KINDS["pressure"]()
    found, own = judged(noise(3), calibrate="linear_val")
    known = kind.validation(predictions(TEST[:9], noise(3)), own)
    own = Head(**{**vars(own), "validation": known})
    stored = json.loads(json.dumps(kind.remembered(own)))
    again = Head(**{**vars(head(calibrate="linear_val")), **stored})
    first, second = (kind.evaluate(predictions(TEST, noise(3)), one) for one in (own, again))
    assert [one.own.scores for one in first.protocols] == [one.own.scores for one in second.protocols]
    assert [one.comparisons for one in first.protocols] == [one.comparisons for one in second.protocols]
    assert "csv" not in stored["validation"]


def test_final_metrics():
    """Its blocks and names, the plain mean predictor beside it, the sign of errors."""
    found, own = judged(lambda one: 3.0)
    final = json.loads(KINDS["pressure"]().section(found, own).files["final_metrics.json"])
    block = final["test"]["targets"]["sbp"]
    assert (
        block["mae"] == pytest.approx(3)
        and block["me"] == pytest.approx(3)
        and block["sd"] == pytest.approx(0, abs=1e-6)
    )
    assert block["r"] == block["pearson"] and block["n"] == 3 * PEOPLE and final["n_subjects"] == PEOPLE
    assert final["test"]["mean_mae"] == pytest.approx(3) and final["error"] == "predicted - reference"
    assert final["baseline_mean_predictor"]["sbp"]["mae"] > 3
    assert final["standards"]["calibration_free"]["sbp"]["verdict"] == "not a validation"


def test_folds_are_judged_together():
    """Two halves of the test as two folds: as many rows, and the same errors."""
    kind, own = KINDS["pressure"](), head(TRAIN)
    halves = [kind.evaluate(predictions(part, noise(4)), own) for part in (TEST[:60], TEST[60:])]
    whole, merged = kind.evaluate(predictions(TEST, noise(4)), own), kind.merge(halves, own)
    assert [one.own.scores for one in whole.protocols] == [one.own.scores for one in merged.protocols]


def test_the_interval_of_a_correlation_is_fishers():
    """r = 0.5 of 28 readings: tanh(0.5493 -+ 0.392)."""
    assert fisher(0.5, 28) == pytest.approx((0.1561, 0.7356), abs=1e-3)
    assert np.isnan(fisher(0.5, 3)).all() and np.isnan(fisher(float("nan"), 30)).all()


def test_a_recording_without_a_target_is_named_and_counts_nowhere():
    """One target of one recording is missing."""
    own, found = head(TRAIN), [*TEST]
    missing = SimpleNamespace(**{**vars(found[0]), "targets": {"sbp": float("nan"), "dbp": 80.0}})
    result = KINDS["pressure"]().evaluate(predictions([missing, *found[1:]], lambda one: 1.0), own)
    assert len(protocol(result, "calibration_free").own.valid) == 3 * PEOPLE - 1
    assert len(protocol(result, "calibration_free", "dbp").own.valid) == 3 * PEOPLE


class Cut(SimpleNamespace):
    """Windows of one recording, each with a pressure of its own and an age that stays."""

    def pieces(self, every=1):
        """(place, targets, signals)."""
        for place in self.rows[::every]:
            yield place, {"sbp": self.sbp[place], "age": self.age, "sex": 1.0, "bmi": 25.0}, {}


def cuts(prefix, seed):
    """People with four windows; the pressure follows the window's own number and the age."""
    random = np.random.default_rng(seed)
    return [
        Cut(id=f"{prefix}{k}", subject=f"{prefix}{k}", age=20.0 + k, rows=range(4),
            sbp=[100 + k + 5 * place + random.normal(0, 1) for place in range(4)])
        for k in range(PEOPLE)
    ]  # fmt: skip


def test_windows_with_pressures_of_their_own_are_judged_one_by_one(monkeypatch, capsys):
    """Each with its own baselines; of very many the regressions are fitted to some."""
    from evaluation import pressure_baselines

    monkeypatch.setattr(pressure_baselines, "ENOUGH", 80)
    kind = KINDS["pressure"]()
    made = Head("bp", "pressure", "Mine", None, parts=("sbp",), units={"sbp": "mmHg"}, options={"seed": 1})
    own = Head(**{**vars(made), "constant": kind.training(cuts("a", 1), made)})
    assert "one in 2 windows" in capsys.readouterr().out
    recordings = [
        Predicted(one.id, one.subject, {place: {"bp": np.array([one.sbp[place] + 2]), "label_bp": np.array([value])}
                                        for place, value in enumerate(one.sbp)}, source=one)
        for one in cuts("b", 2)
    ]  # fmt: skip
    one = protocol(kind.evaluate(recordings, own), "calibration_free")
    assert len(one.own.valid) == 4 * PEOPLE and one.own.per == "clip" and mae(one, "Mine") == pytest.approx(2)
    assert mae(one, "age + sex + BMI") < 7 < mae(one, MEAN)
