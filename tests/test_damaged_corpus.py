"""Hundreds of damaged inputs: each ends in one clear message, in time and in little memory; nobody else is harmed."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import main
from config import ConfigError, read
from dataset.data_loader.base import Recording, Signal
from dataset.files.image_size import image_size
from dataset.prepare.checks import check_lengths
from dataset.prepare.legacy import LegacyChunks, find_chunks
from dataset.store.cache import Cache
from dataset.synthetic.layouts import LAYOUTS
from evaluation.outputs import read_outputs, write_outputs
from neural_methods.checkpoint import WeightsError, load_weights, read_sidecar, read_state, write_state, write_weights
from registry import DATASETS
from tests import damage_others as others
from tests.damage import GENERAL, MISNAMED, group_names, make_good, make_group
from tests.damage_arrays import NPY
from tests.damage_pictures import png
from tests.damage_run import FILE, arguments, faults, limited, preprocess, problems, snapshot, states

MEMORY = 500_000_000  # bytes that a worker may ever hold
UBFC = "UBFC-rPPG"
VICTIM, OTHERS = "subject2", ("subject1", "subject3")
UNNOTICED = ("bits flipped in the header", "bits flipped in the body", "zeros in the middle")  # same size, other bytes


# --- Raw data --------------------------------------------------------------------------------------------------------


def judge(name: str, root: Path, every: int = 1, workers: int = 2) -> None:
    """Preprocess a damaged data set; all that is wrong with what came of it is in the message of one assertion."""
    data, cache = root / "raw" / "data", root / "cache"
    data.mkdir(parents=True)
    (root / "canary.txt").write_text("mine")
    damages = make_group(name, data, every)
    before = snapshot(root, cache, root / "runs")
    ended = preprocess(name, data, cache, workers)
    assert ended.code == 3, f"exit {ended.code} after {ended.seconds:.0f} s\n{ended.output[-3000:]}"
    assert snapshot(root, cache, root / "runs") == before
    assert "Traceback" not in ended.output
    assert not problems(damages, states(cache))
    assert ended.peak < MEMORY
    print(f"{name}: {len(damages)} inputs in {ended.seconds:.1f} s, peak {ended.peak / 1e6:.0f} MB")


@pytest.mark.slow
@pytest.mark.parametrize("name", group_names())
def test_damaged_raw_data_cost_their_recording_only(name, tmp_path):
    """Every way to damage every file of the data set, with two workers: named, and all others are done."""
    judge(name, tmp_path)


@pytest.mark.parametrize(("name", "every"), [("PURE", 18), ("COHFACE", 28)])
def test_some_damaged_raw_data_cost_their_recording_only(name, every, tmp_path):
    """The same for a few, in one process."""
    judge(name, tmp_path, every, workers=1)


def account(name: str, root: Path, kinds: list[str]) -> list[str]:
    """Preprocess a data set of which one subject each is `MISNAMED`; what is wrong with the account of it."""
    reader = DATASETS[name]({"DATA_AUG": ["None"], "DATA_MODE": "RGB"})
    make_good(name, root / "data", len(kinds) + 1)
    before: dict[str, list[Recording]] = {}
    for recording in reader.recordings(root / "data"):
        before.setdefault(recording.subject, []).append(recording)
    victims = {kind: own[0] for kind, own in zip(kinds, list(before.values())[1:], strict=False)}
    for kind, recording in victims.items():
        MISNAMED[kind](recording.path)
    ended = preprocess(name, root / "data", root / "cache", 2)
    # Where ids are the names that people gave, they follow the letters on the disk.
    told = {one.lower(): state for own in states(root / "cache").values() for one, (state, _) in own.items()}
    known = {recording.id.lower(): recording for own in before.values() for recording in own}
    wrong = [f"exit {ended.code}: {ended.output[-1500:]}"] * ("Traceback" in ended.output or ended.code not in (0, 3))
    wrong += [f"{one} is one too many" for one in set(told) - set(known) if "new-" not in one and "within" not in one]
    named = "".join(line for line in ended.output.splitlines() if "Not used of" in line)
    for one in set(known) - set(told):
        under_another_name = any("new-" in other and other.endswith(one) for other in told)
        is_named = any(part in named for part in (known[one].path.stem, known[one].path.parent.name))
        if not under_another_name and not is_named:
            kind = next((kind for kind, victim in victims.items() if victim.id.lower() == one), "good")
            wrong.append(f"{one}, {kind}, is silently absent: {named}")
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS.names())
def test_names_that_are_not_those_of_the_layout_are_accounted_for(name, tmp_path):
    """Through the command line: read all the same, or named; nobody becomes two."""
    assert not account(name, tmp_path, list(MISNAMED))


@pytest.mark.parametrize(("name", "kinds"), [("MMPD", ["in capitals"])])
def test_some_names_are_accounted_for(name, kinds, tmp_path):
    """The same for a few of them."""
    assert not account(name, tmp_path, kinds)


# --- The cache -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Raw data, a filled cache, and a folder beside it that is nobody's business."""
    root = tmp_path_factory.mktemp("whole")
    make_good(UBFC, root / "data", 3)
    (root / others.OUTSIDE).mkdir()
    (root / others.OUTSIDE / "secret.txt").write_text("mine")
    assert main.main(arguments(UBFC, root / "data", root / "cache", 1)) == 0
    return root


@pytest.fixture
def place(whole, tmp_path, monkeypatch):
    """A copy to damage, which is also the working directory."""
    shutil.copytree(whole, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def cache_of(place: Path) -> Path:
    """The folder of the data set in the cache."""
    return next((place / "cache").rglob("recordings.json"), next((place / "cache").glob("*/*"))).parent


ANYTHING = {kind.name: kind.change for kind in GENERAL}
IN_THE_CACHE = [
    *((f"{VICTIM}/faces.npy", name, change) for name, change in (ANYTHING | others.FACES).items()),
    *((f"{VICTIM}/signals.npz", name, change) for name, change in (ANYTHING | others.SIGNALS).items()),
    *((f"{VICTIM}/entry.json", name, change) for name, change in (ANYTHING | others.ENTRY).items()),
    *((f".status/{VICTIM}.json", name, change) for name, change in (ANYTHING | others.STATUS).items()),
    *(("recordings.json", name, change) for name, change in (ANYTHING | others.LISTING).items()),
    *(("manifest.csv", name, change) for name, change in ANYTHING.items()),
    *((name, "a link to another place", change) for name, change in others.LINKS.items()),
]


def one_message(printed: str) -> str:
    """The error of a run, or the line about its only failed recording."""
    assert "Traceback" not in printed
    found = re.findall(r"^Error: (.*)$|^    FAILED \S+: (.*)$", printed, re.MULTILINE)
    assert len(found) == 1, printed[-2000:]
    return "".join(found[0])


def rerun(place: Path, capsys, *changes: str) -> tuple[int, str]:
    """Preprocess again, within limits; exit code and all that was printed."""
    capsys.readouterr()
    with limited():
        code = main.main(arguments(UBFC, place / "data", place / "cache", 1, *changes))
    printed = capsys.readouterr()
    return code, printed.out + printed.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "name", "change"), IN_THE_CACHE, ids=lambda value: value if isinstance(value, str) else ""
)
def test_damage_in_the_cache_is_mended_or_named(whole, place, capsys, file, name, change):
    """Made again with the same bytes, or one message; the other entries and everything outside stay as they were."""
    folder = cache_of(place)
    if file.startswith(".status"):  # it is read only where there is no entry
        shutil.rmtree(folder / VICTIM)
    change(folder / file)
    if file.startswith(".writing"):
        shutil.rmtree(folder / VICTIM)
    outside, kept = snapshot(place, place / "cache", place / "runs"), [snapshot(folder / other) for other in OTHERS]
    code, printed = rerun(place, capsys)
    assert snapshot(place, place / "cache", place / "runs") == outside
    assert [snapshot(folder / other) for other in OTHERS] == kept
    assert not list(place.rglob("code_ran"))
    if code:
        assert not faults(one_message(printed), folder / file)
    elif name not in UNNOTICED:
        entry = Cache(folder, Cache(folder, {}).settings | settings_of(folder)).entry(VICTIM)
        assert (entry.path / "faces.npy").read_bytes() == (cache_of(whole) / VICTIM / "faces.npy").read_bytes()


def settings_of(folder: Path) -> dict:
    """The settings the entries of a cache were made with."""
    import json

    return json.loads((folder / OTHERS[0] / "entry.json").read_text())["settings"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("signals.npz", "that are compressed"),
        ("signals.npz", "of 2^60 values"),
        ("entry.json", "of an endless shape"),
        ("faces.npy", "a pipe"),
    ],
)
def test_damaged_entries_end_in_time(whole, place, capsys, file, name):
    """A bomb, headers that lie, a pipe that would never say a word."""
    change = {**ANYTHING, **others.SIGNALS, **others.ENTRY}[name]
    test_damage_in_the_cache_is_mended_or_named(whole, place, capsys, f"{VICTIM}/{file}", name, change)


@pytest.mark.parametrize("link", others.LINKS)
def test_links_in_the_cache_lead_nowhere(whole, place, capsys, link):
    """Where the cache empties, renames and writes, a link to another folder is refused and that folder kept."""
    test_damage_in_the_cache_is_mended_or_named(whole, place, capsys, link, "a link", others.LINKS[link])


def test_a_damaged_trace_is_made_again(place, capsys):
    """The colour of the whole frames, which pseudo labels are made of."""
    pseudo = "UNSUPERVISED.DATA.PREPROCESS.USE_PSUEDO_PPG_LABEL=True"
    assert rerun(place, capsys, pseudo)[0] == 0
    trace = cache_of(place) / VICTIM / "frame_trace.npy"
    good = trace.read_bytes()
    for change in (ANYTHING["noise"], ANYTHING["cut to a third"], ANYTHING["a pipe"]):
        change(trace)
        assert rerun(place, capsys, pseudo)[0] == 0
        assert trace.read_bytes() == good


# --- rPPG-Toolbox's lists and chunks ---------------------------------------------------------------------------------


def with_list(place: Path, capsys) -> tuple[int, str]:
    """Run on the file list of the place."""
    return rerun(place, capsys, f"UNSUPERVISED.DATA.FILE_LIST_PATH={place / 'list.csv'}", "UNSUPERVISED.DATA.FS=30")


@pytest.mark.parametrize("name", others.LISTS)
def test_lists_lead_nowhere(place, capsys, name):
    """Names that leave the folder, of devices, servers and impossible files: one message that names the list."""
    others.write_list(place / "list.csv", [others.LISTS[name]])
    before = snapshot(place, place / "runs")
    code, printed = with_list(place, capsys)
    assert code == 1 and "list.csv" in one_message(printed)
    assert snapshot(place, place / "runs") == before


@pytest.mark.parametrize("name", others.LIST_FILES)
def test_damaged_lists_are_named(place, capsys, name):
    """Whatever the list holds."""
    others.write_list(place / "list.csv", ["a_input0.npy"])
    others.LIST_FILES[name](place / "list.csv")
    code, printed = with_list(place, capsys)
    assert code == 1 and "list.csv" in one_message(printed)


CHUNKS = {kind.name: kind.change for kind in GENERAL} | {name: change for name, change, _ in NPY}


def test_damaged_chunks_cost_their_recording_only(tmp_path):
    """Every damage to a chunk and to a label: the recording is in `failed` by name, the good one is there."""
    chunks, labels = np.ones((6, 8, 8, 3), np.float32), np.arange(6.0)
    names = [f"{kind}{number}" for number in range(len(CHUNKS)) for kind in ("frames", "label")]
    for name in ("good", *names):
        np.save(tmp_path / f"{name}_input0.npy", chunks)
        np.save(tmp_path / f"{name}_label0.npy", labels)
    for number, change in enumerate(CHUNKS.values()):
        change(tmp_path / f"frames{number}_input0.npy")
        change(tmp_path / f"label{number}_label0.npy")
    with limited():
        dataset = LegacyChunks([tmp_path / f"{name}_input0.npy" for name in ("good", *names)], 30)
        found = [dataset[index] for index in range(len(dataset))]
    assert "good" in dataset.recordings and not list(tmp_path.rglob("code_ran"))
    assert all(np.isfinite(one["ppg"].numpy()).all() for one in found if one["recording"] == "good")
    wrong = {name: faults(reason, tmp_path / f"{name}_input0.npy") for name, reason in dataset.failed}
    assert not {name: fault for name, fault in wrong.items() if set(fault) - {"no file"}}
    assert all(name in reason for name, reason in dataset.failed)
    assert len(find_chunks(tmp_path)) <= 2 * len(CHUNKS) + 1


# --- Configurations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", others.YAML)
def test_damaged_configurations_are_named(name, tmp_path, capsys, monkeypatch):
    """Calls, bombs, circles, bytes: one message with the name of the file, and no code runs."""
    monkeypatch.chdir(tmp_path)
    file, content = tmp_path / "damaged.yaml", others.YAML[name]
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with limited():
        code = main.main(["--config_file", str(file)])
    printed = capsys.readouterr()
    assert code == 1 and "Traceback" not in printed.err
    assert printed.err.startswith("Error: ") and len(printed.err) < 2000
    assert "damaged.yaml" in printed.err or "passwd" in printed.err
    assert os.listdir(tmp_path) == ["damaged.yaml"]


def test_a_configuration_may_begin_with_a_byte_order_mark(tmp_path):
    """As Windows' editor writes it."""
    file = tmp_path / "marked.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + f"BASE: ['{FILE}']\n".encode())
    assert read(file).config.TOOLBOX_MODE == "unsupervised_method"


def test_a_configuration_that_is_a_pipe_is_refused(tmp_path):
    """Instead of waiting for somebody to write into it."""
    os.mkfifo(tmp_path / "pipe.yaml")
    with limited(), pytest.raises(ConfigError, match="pipe.yaml"):
        read(tmp_path / "pipe.yaml")


# --- Weights, states, outputs ----------------------------------------------------------------------------------------


@pytest.fixture
def network():
    """Two layers."""
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))


def refusal(kind: type[Exception] | tuple, read: Callable, file: Path) -> str:
    """The message with which `read(file)` refuses, within limits; no code runs."""
    with limited(), pytest.raises(kind) as caught:
        read(file)
    assert not list(file.parent.rglob("code_ran"))
    return str(caught.value)


@pytest.mark.parametrize("name", others.WEIGHTS)
def test_damaged_weights_are_named(name, network, tmp_path):
    """One sentence or two with the name of the file and what to do."""
    file = tmp_path / "weights.pth"
    write_weights(file, network, {})
    others.WEIGHTS[name](file)
    message = refusal((WeightsError, FileNotFoundError), lambda path: load_weights(network, path), file)
    assert set(faults(message, file)) <= {"no remedy"} and re.search(r"\b(again|Set|export|Export|choose)\b", message)


@pytest.mark.parametrize("name", [*ANYTHING])
def test_damaged_safetensors_are_named(name, network, tmp_path):
    """The other format: flipped numbers may be numbers."""
    file = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), file)
    ANYTHING[name](file)
    if name in UNNOTICED:
        with limited():
            try:
                load_weights(network, file)
            except WeightsError as error:
                assert "weights.safetensors" in str(error)
        return
    message = refusal((WeightsError, FileNotFoundError), lambda path: load_weights(network, path), file)
    assert "weights.safetensors" in message


@pytest.mark.parametrize("name", others.SIDECAR)
def test_damaged_sidecars_are_named(name, network, tmp_path):
    """What lies beside the weights, if it is there and says something, must be readable."""
    write_weights(tmp_path / "weights.pth", network, {"method": "Linear"})
    others.SIDECAR[name](tmp_path / "weights.json")
    with limited():
        try:
            load_weights(network, tmp_path / "weights.pth", expected={"method": "Linear", "options": {}})
        except WeightsError as error:
            assert "weights." in str(error) and set(faults(str(error), tmp_path / "weights.json")) <= {"no file"}
            return
    assert read_sidecar(tmp_path / "weights.pth") == {} and name == "that is a list"


@pytest.mark.parametrize("name", others.STATES)
def test_damaged_states_are_named(name, network, tmp_path):
    """The state of a training."""
    file = tmp_path / "state.pth"
    write_state(file, {"network": network.state_dict(), "progress": {"epoch": 1}})
    others.STATES[name](file)
    if name in ("of words", "without a network"):
        return  # readable; what does not fit is said where it is used
    assert "state.pth" in refusal((WeightsError, FileNotFoundError), read_state, file)


@pytest.mark.parametrize("name", others.OUTPUTS)
def test_damaged_outputs_are_named(name, tmp_path):
    """rPPG-Toolbox's pickle."""
    file = tmp_path / "x_outputs.pickle"
    write_outputs(file, {"a": {0: np.zeros(5)}}, {"a": {0: np.zeros(5)}}, "Raw", 30)
    others.OUTPUTS[name](file)
    assert "x_outputs.pickle" in refusal((ValueError, OSError), read_outputs, file)


# --- What was behind it ----------------------------------------------------------------------------------------------


def test_the_size_of_a_picture_is_in_its_header():
    """All formats that folders of pictures may hold, against OpenCV's writers."""
    import cv2

    picture = np.zeros((37, 53, 3), np.uint8)
    for ending in (".png", ".jpg", ".bmp", ".tif", ".webp"):
        assert image_size(cv2.imencode(ending, picture)[1].tobytes()) == (53, 37), ending
    for lossless in (101, 50):
        data = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, lossless])[1].tobytes()
        assert image_size(data) == (53, 37)
    assert image_size(b"\x00\x00\xff" + bytes([53, 0, 37, 0, 24, 0])) is None
    assert image_size(b"") is None and image_size(b"\xff\xd8\xff") is None
    assert image_size(png(20, 30)) == (20, 30)


def test_one_sample_is_no_signal():
    """Stretched over a video it would be a constant; over a single frame it is one value."""
    waves = {"ppg": Signal(np.ones(1)), "hr": Signal(np.ones(1))}
    check_lengths(waves, ("ppg",), 1)
    check_lengths({"hr": waves["hr"]}, ("ppg",), 9)
    with pytest.raises(ValueError, match="'ppg' of 'here' is a single value for 9 frames"):
        check_lengths(waves, ("ppg",), 9, " of 'here'")
