"""--export_lists: which recordings and clips each section reads, as files for FILE_LIST_PATH. Nothing is trained."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataset.files.names import plural
from dataset.prepare.exported import write_split
from dataset.prepare.legacy import LegacyChunks
from dataset.prepare.node import cutting
from dataset.prepare.prepared import IncompleteError, Prepared, exclusion
from dataset.prepare.section import prepare
from dataset.prepare.splits import SplitError
from dataset.prepare.windows import PreparedWindows
from dataset.program import INCOMPLETE
from neural_methods.folds import draw_parts, drawn_config, fold_config, make_folds, subjects_of
from neural_methods.run import make_trainer
from settings.modes import mode_of, used_sections

LEARNING = ("TRAIN", "VALID", "TEST")  # whose clips a network takes


class UnlistedError(SplitError):
    """Recordings failed: with a list that lacks them, later tables would count as whole."""

    exit_code = INCOMPLETE

    def __init__(self, section: str, prepared: Prepared):
        """Name them with the reasons."""
        lines = "".join(f"  {recording.id}: {reason}\n" for recording, reason in prepared.failed)
        super().__init__(
            f"{section}.DATA ({prepared.dataset}): {plural(len(prepared.failed), 'recording')} failed, which a list "
            f"cannot say:\n{lines}Mend them, or leave them out on purpose "
            f"({exclusion([recording.id for recording, _ in prepared.failed], f'{section}.DATA.')})."
        )


def export(config: Any, folder: Path) -> int:
    """Write `<section>.csv` and `<section>.split.json` of each section in use into `folder`; 0.

    Cache entries that are missing are made: the number of clips depends on them. The folds of SPLIT.KIND have a folder
    each. FileExistsError, before anything is read, for a folder that is not empty; SplitError for what no list can
    say: windows, recordings that failed. Nothing is written before all sections are known.
    """
    if not used_sections(config):
        raise SplitError(f"--export_lists: TOOLBOX_MODE {config.TOOLBOX_MODE} reads no section that could be listed.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"--export_lists: '{folder}' is there, and not empty. Name another folder, or empty it.")
    found = [one for place, run in _runs(config, folder).items() for one in _lists(run, place)]
    for path, section, prepared, names, cut in found:
        write_split(path, prepared.split, names, cut)
        counts = f"{plural(len(names), 'clip')} of {plural(len(prepared.recordings), 'recording')}"
        print(f"{counts}, split {prepared.split.hash}: {section}.DATA.FILE_LIST_PATH={shlex.quote(str(path))}")
    return 0


def _runs(config: Any, folder: Path) -> dict[Path, Any]:
    """Folder -> configuration of a run: the only one, that which SPLIT.KIND draws, or those of the folds."""
    kind = str(config.SPLIT.KIND)
    if kind not in mode_of(config).splits:
        return {folder: config}
    pool = prepare(config.TRAIN.DATA, "train", config, bool(config.OVERWRITE))
    if kind == "random":
        parts = draw_parts(pool, list(config.SPLIT.RATIOS), int(config.SPLIT.SEED), str(config.SPLIT.BY))
        return {folder: drawn_config(config, parts)}
    folds = make_folds(subjects_of(pool), kind, int(config.SPLIT.FOLDS), "VALID" in used_sections(config))
    return {folder / f"fold{fold.number}": fold_config(config, fold) for fold in folds}


def _lists(config: Any, folder: Path) -> list[tuple[Path, str, Prepared, list[str], dict[str, Any]]]:
    """Of each section in use: path of its list, its name, itself, the names of its clips, and how they are cut."""
    mode, found = mode_of(config), []
    trainer = make_trainer(config) if mode.neural else None
    for section in mode.used(config):
        network = trainer is not None and section in LEARNING
        options = trainer.clip_options(section.lower()) if network else {}
        found.append((folder / f"{section.lower()}.csv", section, *_listed(config, section, options)))
    return found


def _listed(config: Any, section: str, options: dict[str, Any]) -> tuple[Prepared, list[str], dict[str, Any]]:
    data = config[section].DATA
    try:
        prepared = prepare(data, section.lower(), config, bool(config.OVERWRITE))
        if isinstance(prepared, PreparedWindows):
            raise SplitError(f"{section}.DATA ({prepared.dataset}) holds windows, which no list names. Use a fold.")
        clips = prepared.clips(**options)
    except IncompleteError as error:
        raise UnlistedError(section, error.prepared) from None
    if prepared.failed:
        raise UnlistedError(section, prepared)
    if isinstance(clips, LegacyChunks):
        return prepared, [path.as_posix() for path in clips.paths], {}
    _require_listable(clips.recordings, section)
    return prepared, [f"{clips.tracks[k].id}_input{number}.npy" for k, _, _, number in clips.clips], cutting(data)


def _require_listable(ids: Sequence[str], section: str) -> None:
    """SplitError for names that a list would say otherwise: it is read without folders and surrounding blanks."""
    wrong = [name for name in ids if name != name.strip() or "/" in name or "\\" in name]
    if wrong:
        raise SplitError(
            f"{section}.DATA: a list cannot name {', '.join(repr(name) for name in wrong[:5])}: blanks around a name "
            "and slashes in it are lost. Rename the files."
        )
