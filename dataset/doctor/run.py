"""The mode behind --doctor: examine every recording of the used sections, write doctor.csv and doctor.html."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
from joblib import Parallel, delayed

from config import run_folder, used_sections
from dataset.data_loader.base import Recording
from dataset.doctor import page
from dataset.doctor.contact import SensorJob, examine_sensors, jobs_of
from dataset.doctor.examine import Job, Report, examine
from dataset.prepare.node import face_crop, make_loader
from dataset.prepare.prepared import IncompleteError, Prepared
from dataset.prepare.section import prepare
from dataset.prepare.windows import PreparedWindows
from dataset.program import INCOMPLETE
from dataset.progress import show_progress
from evaluation.console import text_table
from evaluation.tables import write_text

BAD = 1  # exit code
NAMED = 12  # recordings that the screen names; the page has all
DRAWN = 300  # recordings of contact sensors with a picture: a data set may have ten thousands


def run(config: Any) -> int:
    """Examine all recordings as `config` reads them; 0 when nothing is bad, 1 when something is, 3 when some failed.

    Cache entries that are missing are made. Settings that cannot work raise.
    """
    jobs, reports, seen = [], [], set()
    for section in used_sections(config):
        found = _prepared(config, section)
        for job in _jobs(config, section, found):
            jobs += [job] if _first(job.recording, found, seen) else []
        for recording, reason in found.failed:
            reports += [_failed(section, recording, reason)] if _first(recording, found, seen) else []
    reports += _examined(jobs, config.PREPROCESS_WORKERS)
    folder = Path(run_folder(config))
    title = f"Data doctor: {', '.join(dict.fromkeys(config[s].DATA.DATASET for s in used_sections(config)))}"
    write_text(folder / "doctor.csv", page.table(reports))
    video = any(make_loader(config[section].DATA).has_video for section in used_sections(config))
    written = write_text(folder / "doctor.html", page.page(title, reports, page.VIDEO if video else page.SENSORS))
    print(console(reports))
    print(f"Report: {written} (and doctor.csv beside it)")
    grades = {one.grade for one in reports}
    return INCOMPLETE if "failed" in grades else BAD if "bad" in grades else 0


def console(reports: Sequence[Report]) -> str:
    """What the screen shows: how many recordings have which finding, and the worst ones by name."""
    lines = [f"\nData doctor, {page.summary(reports)}"]
    cells = [[name, str(bad), str(look)] for name, bad, look in page.counts(reports)]
    lines += [text_table(["finding", "bad", "look"], cells)] if cells else []
    worst = [one for one in page.sorted_reports(reports) if one.grade != "ok"]
    for one in worst[:NAMED]:
        sentences = [one.error] if one.error else [f.text for f in one.graded("bad") or one.graded("look")]
        lines.append(f"  {one.grade.upper()} {one.id}: {' '.join(sentences)}")
    lines += [f"  and {len(worst) - NAMED} more on the page"] if len(worst) > NAMED else []
    cures = cures_of(worst[:NAMED])
    lines += ["What helps:", *(f"  {check}: {cure}" for check, cure in cures.items())] if cures else []
    return "\n".join(lines)


def cures_of(reports: Sequence[Report]) -> dict[str, str]:
    """Check -> what to do about it, once for all; with the name where a recording is spoken of."""
    found: dict[str, dict[str, str]] = {}
    for one in reports:
        for finding in one.graded("bad") or one.graded("look"):
            if finding.mend:
                found.setdefault(finding.check, {}).setdefault(finding.mend, one.id)
    return {
        check: " ".join(words if len(cures) == 1 else f"{name}: {words}" for words, name in cures.items())
        for check, cures in found.items()
    }


def _prepared(config: Any, section: str) -> Prepared:
    try:
        prepared = prepare(config[section].DATA, section.lower(), config, overwrite=config.OVERWRITE)
    except IncompleteError as error:
        return error.prepared
    if prepared.legacy and not isinstance(prepared, PreparedWindows):
        raise ValueError(
            f"{section}.DATA reads rPPG-Toolbox's chunks, which keep no times, boxes or native signals to examine. "
            f"Set {section}.DATA.DATA_PATH to the raw data and FILE_LIST_PATH to a folder."
        )
    return prepared


def _jobs(config: Any, section: str, prepared: Prepared) -> list[Job | SensorJob]:
    data = config[section].DATA
    loader = make_loader(data)
    if isinstance(prepared, PreparedWindows):
        return list(jobs_of(section, prepared.windows, prepared.recordings, DRAWN))
    if not loader.has_video:
        return [SensorJob(section, one, prepared.cache, drawn=k < DRAWN) for k, one in enumerate(prepared.recordings)]
    crop = face_crop(data)
    trusted = not data.RESAMPLE_FS  # with a rate to resample to, nobody counts frames
    stated = {f"{section}.DATA.FS": float(data.FS or 0) * trusted}
    return [Job(section, recording, loader, prepared.cache, crop, stated) for recording in prepared.recordings]


def _failed(section: str, recording: Recording, reason: str) -> Report:
    again = "" if "again" in reason else " Run with --preprocess to try it again once it is mended."
    return Report(section, recording.id, recording.subject, error=f"{reason}{again}")


def _first(recording: Recording, prepared: Prepared, seen: set[tuple[Path, str]]) -> bool:
    """Whether no section before had this recording: shared ones are examined for the first. It joins `seen`."""
    key = (prepared.root if prepared.cache is None else prepared.cache.root, recording.id)
    new = key not in seen
    seen.add(key)
    return new


def _examined(jobs: Sequence[Job | SensorJob], workers: int) -> list[Report]:
    """The report of every job, in order; one entry at a time is open in each of the processes."""
    processes = max(1, min(len(jobs), workers if workers > 0 else joblib.cpu_count()))
    pool = Parallel(n_jobs=processes, return_as="generator", pre_dispatch="2*n_jobs", batch_size=1)
    ready = (job.loaded() if isinstance(job, SensorJob) else job for job in jobs)
    return list(show_progress(pool(map(delayed(_report), ready)), "Examining", len(jobs), "recordings", keep=False))


def _report(job: Job | SensorJob) -> Report:
    return examine_sensors(job) if isinstance(job, SensorJob) else examine(job)
