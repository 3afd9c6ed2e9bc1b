"""Mode `preprocess`, and `--shard` in every mode: make the configured sections ready and say what came of it.

A job array shares the recordings out: job i of n runs `python main.py --config_file X.yaml --shard i/n`, i counted from
1. Every n-th recording of the frozen listing, from the i-th, belongs to shard i, whatever section uses it, so no two
jobs write the same recording. They may all write into one CACHED_PATH at once: entries and status files are one per
recording, and the manifest is derived from them. Caches that were filled apart are merged by copying their folders into
one (`cp -r a/. b/`); the next run without --shard brings the manifest up to date, and makes what is still missing.
"""

from typing import Any

from config import shard, used_sections
from dataset.files.names import plural
from dataset.prepare.prepared import IncompleteError, Prepared
from dataset.prepare.section import judge_overlaps, prepare
from dataset.prepare.splits import SplitError
from dataset.program import INCOMPLETE


def run(config: Any) -> int:
    """Preprocess all sections that name a data set; 0 when all is there, 3 when recordings are missing or damaged.

    A section that is incomplete does not stop the others. With SHARD only its share counts, of the sections that the
    mode uses. Settings that cannot work raise.
    """
    sections = [_prepared(config, section) for section in used_sections(config)]
    print(f"\nPreprocessed, shard {config.SHARD}:" if config.SHARD else "\nPreprocessed:")
    for prepared in sections:
        for line in summary(prepared):
            print(line)
    if not config.SHARD:
        _warn_of_overlaps(sections, config)
    return INCOMPLETE if any(prepared.failed for prepared in sections) else 0


def summary(prepared: Prepared) -> list[str]:
    """Lines for one section: how many are ready, what failed and why, what was left out."""
    head = f"  {prepared.name.upper()}.DATA {prepared.dataset}: {len(prepared.recordings)} of {prepared.total} ready"
    if prepared.excluded:
        head += f", {len(prepared.excluded)} left out on purpose"
    place = [f"    cache {prepared.cache.root}"] if prepared.cache is not None else []
    failed = [f"    FAILED {recording.id}: {reason}" for recording, reason in prepared.failed]
    return [head, *place, *failed, *_elsewhere(prepared)]


def _elsewhere(prepared: Prepared) -> list[str]:
    """A line about the recordings of other shards, where there are any."""
    if not prepared.others:
        return []
    states = [prepared.cache.status(recording.id).state for recording in prepared.others]
    failed, missing = states.count("failed"), states.count("missing")
    still = f"{missing} still to do, {failed} failed" if missing or failed else "all done"
    return [f"    {plural(len(states), 'recording')} of other shards: {still}"]


def _prepared(config: Any, section: str) -> Prepared:
    try:
        overwrite = config.get("OVERWRITE", False)
        prepared = prepare(config[section].DATA, section.lower(), config, overwrite, shard(config.SHARD))
    except IncompleteError as error:
        prepared = error.prepared
    prepared.verify()  # other modes find damaged signals when they read them
    return prepared


def _warn_of_overlaps(sections: list[Prepared], config: Any) -> None:
    """What training would refuse is said here already: preprocessing itself does not mind."""
    try:
        overlaps = judge_overlaps(sections, selects_epoch=not config.TEST.USE_LAST_EPOCH)
    except SplitError as error:
        print(f"Warning: {error}")
        return
    for overlap in overlaps:
        print(f"Warning: {overlap}")
