"""The one way from outputs to a report, for classical and neural runs: judge, print, write, draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dataset.files.names import plural
from dataset.files.reading import told
from dataset.prepare.prepared import mend_or_leave_out
from dataset.program import INCOMPLETE
from dataset.store.entry import DamagedEntryError
from evaluation import console
from evaluation.kinds.base import Head, Names, Predicted
from evaluation.kinds.pulse import Compared
from evaluation.page.report import write_page
from evaluation.report import Section, add_links, print_comparison, write_report
from evaluation.tables import completeness, incomplete
from evaluation.vitals import answer_lines, failures, write_vitals
from evaluation.vitals_files import say_page

UNREADABLE = (ValueError, OSError, DamagedEntryError)  # of one recording: its labels, its clock, its files


@dataclass(frozen=True)
class Outcome:
    """One output after a test: how it is evaluated, and what its kind found; None when nothing has a reference."""

    head: Head
    found: Any

    @property
    def judged(self) -> bool:
        """Whether there was anything to compare with."""
        return self.found is not None and self.head.evaluator.judged(self.found)

    @property
    def lines(self) -> list[str]:
        """What is printed."""
        if self.found is None:
            return [f"{self.head.name}: not one recording has a reference for it, so it is not evaluated."]
        return self.head.evaluator.lines(self.found, self.head)

    @property
    def section(self) -> Section:
        """What the report says."""
        if self.found is not None:
            return self.head.evaluator.section(self.found, self.head)
        sentence = "Not one recording has a reference for it, so it is not evaluated. Its values are in the pickle."
        return Section(self.head.name, {}, [f"## {self.head.evaluator.title(self.head)}", sentence], {})


@dataclass(frozen=True)
class Tested:
    """What a test leaves: the report's path, the outputs in the method's order, notes.

    (id, reason) tell what failed, and what was left out on purpose.
    """

    path: Path
    outcomes: tuple[Outcome, ...]
    failed: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def judged(self) -> list[Outcome]:
        """The outputs that could be compared with something."""
        return [one for one in self.outcomes if one.judged]

    @property
    def complete(self) -> dict[str, Any]:
        """How many recordings were evaluated, of how many, and which failed why: the one judge of every mode.

        The pulse decides where it is judged, by the methods that were asked for; otherwise any output counts.
        """
        if not self.main:
            return completeness_of(self)
        by_method = [completeness(found, self.failed) for found in self.main.found.asked]
        lost = {item["recording"]: item for one in reversed(by_method) for item in one["failed"]}
        total = by_method[0]["recordings"]
        done = {"evaluated": total - len(lost), "recordings": total, "complete": not lost}
        return {**done, "failed": list(lost.values())}

    @property
    def pulse(self) -> Outcome | None:
        """The pulse; None for a method without."""
        return next((one for one in self.outcomes if isinstance(one.found, Compared)), None)

    @property
    def main(self) -> Outcome | None:
        """The pulse whose tables head the report: one that was judged."""
        return self.pulse if self.pulse and self.pulse.judged else None


class IncompleteTestError(RuntimeError):
    """Recordings are missing from a test though they may not, or none is left; the message names them."""

    exit_code = INCOMPLETE

    def __init__(self, complete: Mapping[str, Any]):
        """Compose the message from what `completeness` says."""
        done, total = complete["evaluated"], complete["recordings"]
        lines = [f"  {item['recording']}: {item['reason']}" for item in complete["failed"]]
        head = f"The test is incomplete: {done} of {plural(total, 'recording')} could be evaluated."
        remedy = mend_or_leave_out([item["recording"] for item in complete["failed"]])
        if not done:
            head = f"There is no result: not one of {plural(total, 'recording')} could be evaluated."
            remedy = "Mend what is named there, or test other recordings."
        super().__init__("\n".join([head, *lines, remedy]))


def require_complete(complete: Mapping[str, Any], allow: bool, written: bool = False) -> None:
    """IncompleteTestError for a test that lacks recordings unless `allow`, and, once its report is written, for none.

    The report of a test without any result has no number in it, and tells more than the error.
    """
    nothing = complete["recordings"] and not complete["evaluated"]
    if nothing and written or not (complete["complete"] or allow or nothing):
        raise IncompleteTestError(complete)


def evaluate(
    recordings: Sequence[Predicted],
    heads: Sequence[Head],
    failed: Sequence[tuple[str, str]],
    names: Names,
    notes: Sequence[str] = (),
    remarks: Sequence[str] = (),
    left_out: Sequence[tuple[str, str]] = (),
    allow: bool | None = False,
) -> Tested:
    """Judge every output of a method and publish; `notes` stand before what the kinds note, `remarks` behind.

    IncompleteTestError for what lacks recordings unless `allow` (ALLOW_INCOMPLETE); None: a later test is judged.
    """
    found = [_found(recordings, head) for head in heads]
    outcomes = tuple(Outcome(head, one) for head, (one, _) in zip(heads, found, strict=True))
    failed = [*failed, *{name: reason for _, lost in found for name, reason in lost.items()}.items()]
    said = [note for one in outcomes if one.found is not None for note in one.head.evaluator.notes(one.found)]
    notes = (*notes, *said, *remarks)
    tested = Tested(names.folder / "report.md", outcomes, tuple(failed), notes, tuple(left_out))
    return publish(tested, names, allow)


def _found(recordings: Sequence[Predicted], head: Head) -> tuple[Any, dict[str, str]]:
    """What an output comes to, and the recordings that cannot be read for it, with the reason: the others go on."""
    try:
        return head.evaluator.evaluate(recordings, head), {}
    except UNREADABLE:
        lost = {one.id: reason for one in recordings if (reason := _why_not(one, head))}
        if not lost:
            raise
    rest = [one for one in recordings if one.id not in lost]
    return (head.evaluator.evaluate(rest, head) if rest else None), lost


def _why_not(one: Predicted, head: Head) -> str:
    """Why a recording cannot be evaluated; "" where it can."""
    try:
        head.evaluator.evaluate([one], head)
    except UNREADABLE as error:
        return f"cannot be evaluated: {told(error)}"
    return ""


def publish(tested: Tested, names: Names, allow: bool | None = False) -> Tested:
    """Print and write a test that is complete enough, see `evaluate`.

    Of a pulse that cannot be judged, and has nothing beside it, the rates.
    """
    judged = allow is not None and bool(tested.judged or tested.pulse)  # else there is nothing to compare with
    others = [one for one in tested.outcomes if one is not tested.pulse]
    if tested.pulse and not tested.main and all(one.found is None for one in others):
        path = rates(tested.pulse.found, tested.failed, names, tested.left_out)
        for line in [line for one in others for line in one.lines]:
            print(line)
        if judged:
            require_complete(completeness_of_rates(tested), bool(allow), written=True)
        return replace(tested, path=path)
    if judged:
        require_complete(tested.complete, bool(allow))
    say(tested)
    path = write(tested, names)
    if judged:
        require_complete(tested.complete, bool(allow), written=True)
    return replace(tested, path=path)


def say(tested: Tested) -> None:
    """Print what every output comes to, the pulse first, `INCOMPLETE n/m` above when recordings are missing."""
    pulse = tested.main
    if pulse and len(tested.outcomes) > 1:
        print(*pulse.head.evaluator.box, sep="\n")
    ordered = [*([pulse] if pulse else []), *(one for one in tested.outcomes if one is not pulse)]
    for line in [*filter(None, [incomplete(tested.complete)]), *(line for one in ordered for line in one.lines)]:
        print(line)


def write(tested: Tested, names: Names) -> Path:
    """Write report, tables and plots, and print how the methods compare and where the report is."""
    pulse = tested.main
    others = [one for one in tested.outcomes if one is not pulse]
    path = write_report(
        names.folder, names.title, pulse.found.tables if pulse else {}, tested.failed,
        examples=pulse.found.examples if pulse else {}, notes=tested.notes,
        sections=[one.section for one in others], complete=tested.complete, left_out=tested.left_out,
        draws=[
            picture for one in others if one.found is not None
            for picture in one.head.evaluator.plots(one.found, one.head)
        ],
    )  # fmt: skip
    for one in tested.outcomes:
        if one.judged:
            one.head.evaluator.agreement(one.found, one.head, names)
    _link_others(path, names)
    page = write_page(names.folder, pulse.found.worst if pulse else ())
    if page:
        print(f"Page: {page}")
    if pulse:
        print_comparison(pulse.found.tables, tested.failed, path, tested.complete)
    else:
        _say_lost(tested.complete, path)
    return path


def _link_others(path: Path, names: Names) -> None:
    """The report names the files that lie where scripts for rPPG-Toolbox look for them."""
    drawn = (("Bland-Altman plots", names.plots), ("waves and outputs", names.outputs), *names.others)
    add_links(path, drawn)


def completeness_of(tested: Tested) -> dict[str, Any]:
    """How many recordings any output was evaluated on, of how many, and which failed why."""
    seen: set[str] = set()
    lost: dict[str, str] = {}
    for one in tested.outcomes:
        if one.found is not None:
            evaluated, reasons = one.head.evaluator.lost(one.found)
            seen |= evaluated
            lost |= {name: reason for name, reason in reasons.items() if name not in lost}
    lost = {**{name: reason for name, reason in lost.items() if name not in seen}, **dict(tested.failed)}
    seen -= set(lost)
    reasons = [{"recording": name, "reason": reason} for name, reason in lost.items()]
    return {"evaluated": len(seen), "recordings": len(seen) + len(lost), "complete": not lost, "failed": reasons}


def completeness_of_rates(tested: Tested) -> dict[str, Any]:
    """The same where nothing is known: a recording with a rate was measured."""
    found = tested.pulse.found.every
    lost = {**failures(found), **dict(tested.failed)}
    seen = {row.id for one in found for row in one.rows} - set(lost)
    reasons = [{"recording": name, "reason": reason} for name, reason in lost.items()]
    return {"evaluated": len(seen), "recordings": len(seen) + len(lost), "complete": not lost, "failed": reasons}


def _say_lost(complete: Mapping[str, Any], path: Path) -> None:
    missing = [f"FAILED {item['recording']}: {item['reason']}" for item in complete["failed"]]
    print(*missing, f"Report: {path}", sep="\n")


def rates(
    found: Compared, failed: Sequence[tuple[str, str]], names: Names, left_out: Sequence[tuple[str, str]] = ()
) -> Path:
    """Videos without labels: write and print rates instead of errors."""
    path = write_vitals(
        names.folder, names.title, found.every, failed, flags=found.flags, examples=found.examples, left_out=left_out,
        answers=found.answers, views=found.views,
    )  # fmt: skip
    _link_others(path, names)
    print(answer_lines(found.answers, found.every, failed))
    say_page(names.folder)
    print(f"Report: {path}")
    return path


def say_table(one: Any, head: Head, complete: Mapping[str, Any]) -> None:
    """The lines of one classical method: what the numbers are, then rPPG-Toolbox's words."""
    print(*filter(None, [incomplete(complete), console.header(one)]), sep="\n")
    how = head.settings
    for line in console.lines(one, how.metrics, how.estimator, unsupervised=True):
        print(line)
