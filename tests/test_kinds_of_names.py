"""Which kind of mistaken input each data set with video is tried with; a new one must be entered, and is tried at once.

Kinds that can happen to every data set are asked of every one that is registered. Of the others stands here why one of
them cannot have it.
"""

import re
import shutil

import pytest

import main
from dataset.data_loader.folder import IMAGES, VIDEOS
from registry import DATASETS
from tests import test_clock, test_unused
from tests.damage import make_good
from tests.damage_run import arguments
from tests.test_loader_contract import NAMES, loader

OF_EVERY_ONE = {  # kind -> the test that is asked of every data set
    "another case": test_unused.test_names_count_in_whatever_case,
    "files of systems (._*)": test_unused.test_files_of_systems_are_overlooked,
    "a copy": test_unused.test_a_copy_is_no_second_person,
    "packed": test_unused.test_what_is_packed_is_named,
    "another name": test_unused.test_a_recording_of_another_name_is_read_or_named,
    "one folder too deep": test_unused.test_a_folder_too_deep_is_named,
    "DATA_PATH too high or too low": test_unused.test_the_error_says_where_recordings_lie,
    "another data set's": test_unused.test_another_data_set_is_recognised,
    "formats that are not read": test_unused.test_formats_that_are_not_read_and_other_files_are_named,
    "left out on purpose": test_unused.test_filtering_works_for_every_data_set,
}
WITHOUT_TIMES = {  # labels come at a fixed rate, or one at each frame, and frames have no times of their own
    "BP4DPlus", "BP4DPlusBigSmall", "iBVP", "MCD-rPPG", "MMPD", "PairedECG", "PhysDrive", "SCAMPS",
    "UBFC-PHYS", "V4V",
}  # fmt: skip


def test_every_data_set_is_tried_with_every_kind():
    """What is registered is what the tests of all data sets are asked of, and each is entered where a kind is not."""
    registered = {
        name for name in DATASETS.names()
        if DATASETS[name].__module__.startswith("dataset.")
        and DATASETS[name].has_video and not DATASETS[name].generated
    }  # fmt: skip
    assert set(NAMES) == registered
    clocked = {case.split()[0] for case in test_clock.CLOCKS}
    assert clocked | WITHOUT_TIMES == registered and not clocked & WITHOUT_TIMES
    for kind, test in OF_EVERY_ONE.items():
        asked = {"made", "copied"} & set(test.__code__.co_varnames[: test.__code__.co_argcount])
        assert asked, f"{kind}: the test is not asked of every data set"


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_extension_is_never_silent(name, tmp_path, capsys):
    """All pictures of a recording under an ending that means nothing: it fails by name, or the file is named."""
    root = tmp_path / "raw"
    make_good(name, root, 2)
    reader = loader(name)
    before, first = len(reader.recordings(root)), reader.recordings(root)[0]
    inside = [first.path] if first.path.is_file() else list(first.path.rglob("*"))
    seen = [path for path in inside if path.suffix.lower() in (*VIDEOS, *IMAGES, ".pgm", ".mat", ".zip", ".h5")]
    for path in seen or [path for path in root.rglob("*") if path.suffix == ".zip"][:1]:
        path.rename(path.with_suffix(".part9"))
    code = main.main(arguments(name, root, tmp_path / "cache", 1))
    said = "".join(capsys.readouterr())
    done = int(re.search(r"recordings?: (\d+) done", said)[1])
    assert (code == 3 and first.id in said.partition("Preprocessed")[2]) or (
        done < before and re.search(rf"Not used of .*({re.escape(first.path.stem)}|\.part9)", said)
    ), said[-1500:]


@pytest.mark.parametrize("name", NAMES)
def test_of_a_recording_that_went_the_name_is_said(name, tmp_path, capsys):
    """Between two runs: it is named as gone, or, where other files of it still lie there, as failed."""
    root = tmp_path / "raw"
    make_good(name, root, 2)
    reader = loader(name)
    assert main.main(arguments(name, root, tmp_path / "cache", 1)) == 0
    first = reader.recordings(root)[0]
    taken = [path for path in root.rglob("*") if path.name == f"{first.subject}.zip"] or [first.path]
    for path in taken:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    capsys.readouterr()
    main.main(arguments(name, root, tmp_path / "cache", 1))
    said = "".join(capsys.readouterr())
    gone = rf"(Gone from the data set and from all tables, .*|FAILED ){re.escape(first.id)}\b"
    assert re.search(gone, said), said[-1500:]
