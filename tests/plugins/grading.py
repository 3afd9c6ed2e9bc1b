"""A new kind of output, `grade`: an ordered class per clip, judged by the steps it is off; and a method with it."""

from types import SimpleNamespace

import torch.nn.functional as F
from pressure import PressureTrainer

from evaluation.kinds.base import Kind
from evaluation.report import Section
from registry import KINDS, METHODS

STEPS = (90.0, 120.0, 140.0)  # mmHg: where the next grade begins


def grade_of(value):
    """The number of the grade."""
    return sum(value >= step for step in STEPS)


@KINDS.register("grade")
class Grade(Kind):
    """Pressures in mmHg in, steps between grades out."""

    per = "clip"
    label = "scalar"

    def rows(self, recordings, head):
        """A row per clip."""
        return [
            SimpleNamespace(
                id=one.id, subject=one.subject, note="",
                off=abs(grade_of(float(parts[head.name])) - grade_of(float(one.label(number, head.name)))),
            )
            for one in recordings
            for number, parts in one.ordered
        ]  # fmt: skip

    def metrics(self, rows, head):
        """The share of clips in the right grade."""
        return SimpleNamespace(rows=list(rows), right=sum(row.off == 0 for row in rows) / len(rows))

    def section(self, found, head):
        """Its own page of the report."""
        text = [f"## Grades of {head.name}", f"{found.right:.0%} of {len(found.rows)} clips are in the right grade."]
        return Section(head.name, {"kind": "grade", "right": found.right, "n": len(found.rows)}, text, {})

    def lines(self, found, head):
        """One line."""
        return [f"grade ({head.name}): {found.right:.2f} right, n = {len(found.rows)}"]


@METHODS.register("Graded")
class GradedTrainer(PressureTrainer):
    """As Pressure, with a head of the new kind."""

    heads = {"sbp": "grade"}

    def loss(self, outputs, batch, epoch):
        """Absolute error over 10 mmHg."""
        return {"loss": F.l1_loss(outputs["sbp"], batch["sbp"]) / 10}
