"""Mode `preprocess`: make every configured section ready and say what came of it."""

from typing import Any

from config import used_sections
from dataset.prepare import IncompleteError, Prepared, judge_overlaps, prepare
from dataset.splits import SplitError

INCOMPLETE = 3  # exit code


def run(config: Any) -> int:
    """Preprocess all sections that name a data set; 0 when all is there, 3 when recordings are missing.

    A section that is incomplete does not stop the others. Settings that cannot work raise.
    """
    sections = [_prepared(config, section) for section in used_sections(config)]
    print("\nPreprocessed:")
    for prepared in sections:
        for line in summary(prepared):
            print(line)
    _warn_of_overlaps(sections, config)
    return INCOMPLETE if any(prepared.failed for prepared in sections) else 0


def summary(prepared: Prepared) -> list[str]:
    """Lines for one section: how many are ready, what failed and why, what was left out."""
    head = f"  {prepared.name.upper()}.DATA {prepared.dataset}: {len(prepared.recordings)} of {prepared.total} ready"
    if prepared.excluded:
        head += f", {len(prepared.excluded)} left out on purpose"
    place = [f"    cache {prepared.cache.root}"] if prepared.cache is not None else []
    return [head, *place, *(f"    FAILED {recording.id}: {reason}" for recording, reason in prepared.failed)]


def _prepared(config: Any, section: str) -> Prepared:
    try:
        return prepare(config[section].DATA, section.lower(), config, overwrite=config.get("OVERWRITE", False))
    except IncompleteError as error:
        return error.prepared


def _warn_of_overlaps(sections: list[Prepared], config: Any) -> None:
    """What training would refuse is said here already: preprocessing itself does not mind."""
    try:
        overlaps = judge_overlaps(sections, selects_epoch=not config.TEST.USE_LAST_EPOCH)
    except SplitError as error:
        print(f"Warning: {error}")
        return
    for overlap in overlaps:
        print(f"Warning: {overlap}")
