"""Splits: who is taken, how it is stored, and what two sections may not share."""

from pathlib import Path

import pytest

from dataset.data_loader.base import Recording
from dataset.prepare import splits


def listing(subjects=12, each=2):
    """`each` recordings of every subject, in natural order."""
    return [
        Recording(id=f"s{s}_T{t}", subject=f"s{s}", path=Path("raw") / f"s{s}_T{t}")
        for s in range(1, subjects + 1)
        for t in range(1, each + 1)
    ]


def ids(recordings):
    """Their ids."""
    return [recording.id for recording in recordings]


@pytest.mark.parametrize("subjects", [1, 3, 7, 10, 42])
@pytest.mark.parametrize("cut", [0.1, 0.29, 0.6, 0.7, 0.8])
def test_two_parts_share_no_subject_and_lose_none(subjects, cut):
    """0 to x and x to 1 divide the listing, by int(x * n) subjects."""
    everyone = listing(subjects)
    first, second = splits.take(everyone, 0, cut), splits.take(everyone, cut, 1)
    assert sorted(ids(first) + ids(second)) == sorted(ids(everyone))
    assert not {r.subject for r in first} & {r.subject for r in second}
    assert len({r.subject for r in first}) == int(cut * subjects)


def test_natural_order_and_truncation():
    """s2 comes before s10, whatever the listing's order; 0.29 * 100 is cut to 28 as rPPG-Toolbox does."""
    everyone = listing()
    assert {r.subject for r in splits.take(everyone[::-1], 0, 0.25)} == {"s1", "s2", "s3"}
    assert len(splits.take(listing(100, 1), 0, 0.29)) == 28


def test_everything_keeps_the_listing_order():
    """0 to 1 gives the listing as it is."""
    everyone = listing()[::-1]
    assert splits.take(everyone, 0, 1) == everyone


def test_recordings_as_units():
    """By recording a subject may be in two parts."""
    everyone = listing(5, 3)
    assert len(splits.take(everyone, 0, 0.5, "recording")) == 7


@pytest.mark.parametrize(("begin", "end"), [(-0.1, 1), (0, 1.1), (0.5, 0.5), (0.8, 0.2), (float("nan"), 1)])
def test_impossible_ranges_raise(begin, end):
    """A range that is empty or outside 0 to 1 names both ends."""
    with pytest.raises(splits.SplitError, match="BEGIN .* END"):
        splits.take(listing(), begin, end)


def test_unknown_units_raise():
    """Only subjects and recordings can be counted."""
    with pytest.raises(splits.SplitError, match="'person'"):
        splits.take(listing(), 0, 1, "person")


def split_of(recordings, **changes):
    """The Split that holds `recordings`."""
    return splits.Split("X", tuple(ids(recordings)), {r.id: r.subject for r in recordings}, **changes)


def test_the_hash_sees_every_change():
    """Order, range, unit, subject: each gives another hash; the same split gives the same."""
    base = split_of(listing())
    assert base.hash == split_of(listing()).hash
    others = [
        split_of(listing()[::-1]),
        split_of(listing(11)),
        split_of(listing(), end=0.9),
        split_of(listing(), unit="recording"),
        splits.Split("X", base.ids, {**base.subjects, "s1_T1": "s2"}),
    ]
    assert len({base.hash, *(other.hash for other in others)}) == 6


def test_folds_choose_subjects(tmp_path):
    """Column `subjects` selects in listing order; absent subjects are told."""
    path = tmp_path / "fold.csv"
    path.write_text("\ufeffsubjects\ns10\ns2\n\nF999\ns2\n", encoding="utf-8")
    chosen, absent = splits.by_fold(listing(), splits.read_fold(path))
    assert ids(chosen) == ["s2_T1", "s2_T2", "s10_T1", "s10_T2"] and absent == ["F999"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"subjects\n\n", "names no subject"),
        (b"subject\ns1\n", "no column 'subjects'; its columns: subject"),
        (b"", "its columns: none"),
        (b"subjects\n\xff\xfe\n", "cannot be read"),
        (b'subjects\n"' + b"x" * 200_000 + b'"\n', "cannot be read"),
    ],
)
def test_unreadable_folds_raise(tmp_path, content, message):
    """The error names the file and what it lacks."""
    path = tmp_path / "fold.csv"
    path.write_bytes(content)
    with pytest.raises(splits.SplitError, match=message):
        splits.read_fold(path)
    with pytest.raises(splits.SplitError, match="cannot be read"):
        splits.read_fold(tmp_path / "none.csv")


def test_short_lines_of_a_list_are_empty_names(tmp_path):
    """A line without the column counts as empty."""
    path = tmp_path / "list.csv"
    path.write_text(",input_files\n0,a\n1\n")
    assert splits.read_column(path, "input_files") == ["a", ""]


def sections(tmp_path, **parts):
    """Sections over one folder: name=(begin, end)."""
    return {name: splits.Side(tmp_path, split_of(splits.take(listing(), *part))) for name, part in parts.items()}


def test_train_with_test_is_an_error(tmp_path):
    """Shared subjects of one folder are named."""
    with pytest.raises(splits.SplitError, match="TRAIN and TEST share 12 .* s1, s2, s3, s4, s5, ..."):
        splits.judge(sections(tmp_path, train=(0, 1), test=(0, 1)))


def test_valid_overlaps_are_warnings_unless_an_epoch_is_selected(tmp_path):
    """VALID with TRAIN and TEST warns; choosing the epoch on the test set is refused."""
    parts = sections(tmp_path, train=(0, 0.5), valid=(0.4, 0.7), test=(0.6, 1))
    assert [(o.first, o.second) for o in splits.judge(parts)] == [("train", "valid"), ("valid", "test")]
    with pytest.raises(splits.SplitError, match="USE_LAST_EPOCH"):
        splits.judge(parts, selects_epoch=True)
    assert len(splits.judge(sections(tmp_path, train=(0, 1), valid=(0.5, 1)), selects_epoch=True)) == 1


def test_other_folders_do_not_overlap(tmp_path):
    """Equal subject names in two data folders are other people; another spelling of one folder is the same."""
    whole = split_of(listing())
    (tmp_path / "a").mkdir()
    assert splits.judge({"train": splits.Side(tmp_path / "a", whole), "test": splits.Side(tmp_path / "b", whole)}) == []
    with pytest.raises(splits.SplitError, match="TRAIN and TEST"):
        splits.judge(
            {"train": splits.Side(tmp_path / "a", whole), "test": splits.Side(tmp_path / "b" / ".." / "a", whole)}
        )


def side(root, *names):
    """A section that reads these subject folders, or files, of `root`."""
    recordings = [Recording(Path(name).stem, Path(name).stem, root / name) for name in names]
    return splits.Side(root, split_of(recordings), {one.id: one.path for one in recordings})


def people(root, *names):
    """Subject folders with a video each."""
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "vid.avi").write_bytes(bytes(1 << 17))
    return root


def test_a_linked_person_is_found(tmp_path):
    """A linked folder in one data folder, a linked video in another, a linked data folder."""
    root, other = people(tmp_path / "a", "anna", "ben"), people(tmp_path / "b", "zoe")
    (root / "zoe").symlink_to(root / "anna")
    with pytest.raises(splits.SplitError, match="TRAIN and TEST share 1 subject.* by the files they read.*: anna"):
        splits.judge({"train": side(root, "anna", "ben"), "test": side(root, "zoe")})
    (other / "zoe" / "vid.avi").unlink()
    (other / "zoe" / "vid.avi").symlink_to(root / "ben" / "vid.avi")
    with pytest.raises(splits.SplitError, match=": ben"):
        splits.judge({"train": side(root, "anna", "ben"), "test": side(other, "zoe")})
    assert splits.judge({"train": side(root, "anna"), "test": side(other, "zoe")}) == []


def test_nested_folders_that_share_files_overlap(tmp_path):
    """TRAIN reads all sites, TEST one of them, by other names."""
    root = people(tmp_path / "all", "here/anna", "there/ben")
    for test in (side(root / "here", "anna"), side(root / "here", "anna/vid.avi")):
        with pytest.raises(splits.SplitError, match=": anna"):
            splits.judge({"train": side(root, "here/anna", "there/ben"), "test": test})
    assert splits.judge({"train": side(root, "there/ben"), "test": side(root / "here", "anna")}) == []


def test_recordings_of_one_file_and_shared_notes_do_not_overlap(tmp_path):
    """Two recordings of one file are told apart by their ids; a small linked file is nobody's recording."""
    root = people(tmp_path / "a", "anna", "ben")
    (root / "notes.txt").write_text("calibration")
    for name in ("anna", "ben"):
        (root / name / "notes.txt").symlink_to(root / "notes.txt")
    assert splits.judge({"train": side(root, "anna"), "test": side(root, "ben")}) == []
    one, two = (Recording(name, name, root / "anna") for name in ("x", "y"))
    parts = {"train": one, "test": two}
    assert splits.judge({k: splits.Side(root, split_of([r]), {r.id: r.path}) for k, r in parts.items()}) == []


def test_disjoint_parts_are_fine(tmp_path):
    """The usual 0.6, 0.8, 1 division has no overlap, and one subject's other recording is one."""
    assert splits.judge(sections(tmp_path, train=(0, 0.6), valid=(0.6, 0.8), test=(0.8, 1)), True) == []
    halves = [split_of(listing()[k::2]) for k in (0, 1)]
    assert str(
        splits.overlaps({"valid": splits.Side(tmp_path, halves[0]), "train": splits.Side(tmp_path, halves[1])})[0]
    ).startswith("VALID")


def test_unnamed_subjects_are_their_recordings(tmp_path):
    """A split without subjects is compared by recording id."""
    a, b = splits.Split("X", ("r1", "r2")), splits.Split("X", ("r2", "r3"))
    assert splits.overlaps({"valid": splits.Side(tmp_path, a), "test": splits.Side(tmp_path, b)})[0].subjects == ("r2",)


# --- Drawn parts ----------------------------------------------------------------------------------------------------


def test_drawn_parts_are_disjoint_cover_everybody_and_have_the_sizes_asked_for():
    """10 subjects at 0.6, 0.2, 0.2; another seed draws others, another order of the names does not."""
    names = [f"s{number}" for number in range(1, 11)]
    parts = splits.draw(names, [0.6, 0.2, 0.2], seed=3)
    assert [len(part) for part in parts] == [6, 2, 2] and sorted(sum(parts, ())) == sorted(names)
    assert [set(part) for part in splits.draw(names[::-1], [6, 2, 2], seed=3)] == [set(part) for part in parts]
    assert splits.draw(names, [0.6, 0.2, 0.2], seed=4) != parts


@pytest.mark.parametrize(
    ("count", "ratios", "sizes"),
    [
        (3, [0.9, 0.05, 0.05], [1, 1, 1]),
        (5, [0.8, 0.0, 0.2], [4, 0, 1]),
        (7, [1, 1, 1], [3, 2, 2]),
        (2, [1, 0, 0], [2, 0, 0]),
    ],
)
def test_a_share_above_nothing_gets_somebody(count, ratios, sizes):
    """Nobody is lost by rounding, and no part that is asked for is empty."""
    parts = splits.draw([str(number) for number in range(count)], ratios, seed=0)
    assert [len(part) for part in parts] == sizes


def test_a_draw_that_cannot_be_made_is_refused():
    """Too few subjects, shares that are none."""
    with pytest.raises(splits.SplitError, match="cannot be drawn into 3 parts"):
        splits.draw(["a", "b"], [0.6, 0.2, 0.2], seed=0)
    for ratios in ([0, 0, 0], [1, -1], [float("nan")]):
        with pytest.raises(splits.SplitError, match="no shares of a whole"):
            splits.draw(["a", "b"], ratios, seed=0)
