"""The configuration: which names and folders come out, and what a run is called."""

from pathlib import Path

import pytest

from config import dump, load_config, run_folder, run_hash, used_sections
from settings.names import own_list
from tests.config_tools import CLASSICAL, TESTING, TRAINING, changed, refusal, write_yaml
from tests.conftest import ROOT


@pytest.fixture
def write(tmp_path):
    """Write a mapping (or plain text) as a YAML file below tmp_path; its path."""
    return lambda values, name="x.yaml": write_yaml(values, tmp_path / name)


# --- Derived names -------------------------------------------------------------------------------------------------

PURE_NAME = (
    "PURE_SizeW72_SizeH72_ClipLength180_DataTypeDiffNormalized_Standardized_DataAugNone_LabelTypeDiffNormalized"
    "_Crop_faceTrue_BackendHC_Large_boxTrue_Large_size1.5_Dyamic_DetFalse_det_len30_Median_face_boxFalse"
)


def test_names_of_caches_and_folders_are_those_of_rppg_toolbox(write):
    """Users' caches and scripts carry them, odd spellings included."""
    loaded = load_config(write(TRAINING), ["TRAIN.DATA.CACHED_PATH=/cache", "LOG.PATH=runs/mine"])
    train = loaded.TRAIN.DATA
    assert train.EXP_DATA_NAME == PURE_NAME
    assert (train.CACHE_ROOT, train.CACHED_PATH) == ("/cache", f"/cache/{PURE_NAME}")
    assert train.FILE_LIST_PATH == f"/cache/DataFileLists/{PURE_NAME}_0.0_0.8.csv"
    assert loaded.MODEL.MODEL_DIR == f"runs/mine/{PURE_NAME}/PreTrainedModels"
    assert loaded.TEST.OUTPUT_SAVE_DIR == f"runs/mine/{loaded.TEST.DATA.EXP_DATA_NAME}/saved_test_outputs"


def test_size_h_is_the_width_except_in_test_and_classical_names_say_so(write):
    """A quirk that is part of the names of existing caches."""
    size = {"PREPROCESS": {"RESIZE": {"W": 64, "H": 32}}}
    values = changed(TRAINING, TRAIN__DATA__PREPROCESS__RESIZE=size["PREPROCESS"]["RESIZE"])
    values["TEST"]["DATA"] |= size
    loaded = load_config(write(values))
    assert "SizeW64_SizeH64_" in loaded.TRAIN.DATA.EXP_DATA_NAME
    assert "SizeW64_SizeH32_" in loaded.TEST.DATA.EXP_DATA_NAME
    assert loaded.UNSUPERVISED.DATA.EXP_DATA_NAME.endswith("_unsupervised")


def test_validation_has_no_name_while_it_is_off(write):
    """But its cache root is there for everyone who asks."""
    loaded = load_config(write(TRAINING))
    assert (loaded.VALID.DATA.EXP_DATA_NAME, loaded.VALID.DATA.CACHE_ROOT) == ("", "PreprocessedData")
    on = load_config(write(changed(TRAINING, TEST__USE_LAST_EPOCH=False, VALID__DATA={"DATASET": "PURE"})))
    assert on.VALID.DATA.EXP_DATA_NAME.startswith("PURE_SizeW128")


def test_a_fold_marks_the_file_list(write):
    """So that folds do not share a list."""
    loaded = load_config(write(changed(TRAINING, TRAIN__DATA__FOLD={"FOLD_NAME": "Fold1_Train"})))
    assert loaded.TRAIN.DATA.FILE_LIST_PATH.endswith("_0.0_0.8_Fold1_Train.csv")


def test_names_the_user_gives_are_kept(write):
    """rPPG-Toolbox overwrites OUTPUT_SAVE_DIR."""
    loaded = load_config(write(changed(TRAINING, TEST__OUTPUT_SAVE_DIR="mine", TRAIN__DATA__EXP_DATA_NAME="short")))
    assert loaded.TEST.OUTPUT_SAVE_DIR == "mine"
    assert loaded.TRAIN.DATA.CACHED_PATH == "PreprocessedData/short"
    loaded = load_config(write(changed(CLASSICAL, UNSUPERVISED__OUTPUT_SAVE_DIR="")))
    assert loaded.UNSUPERVISED.OUTPUT_SAVE_DIR.endswith("_unsupervised/saved_outputs")


@pytest.mark.parametrize(
    ("name", "moved", "expected"),
    [
        ("PURE_PURE_UBFC-rPPG_tscan", ["TRAIN", "VALID", "TEST"], "MA-PURE_MA-PURE_MA-UBFC-rPPG_tscan"),
        ("PURE_PURE_UBFC-rPPG_tscan", ["TEST"], "PURE_PURE_MA-UBFC-rPPG_tscan"),
        ("PURE_UBFC-rPPG_tscan", ["TRAIN", "TEST"], "MA-PURE_MA-UBFC-rPPG_tscan"),
        ("PURE_UBFC-rPPG_tscan", ["VALID"], "PURE_UBFC-rPPG_tscan"),  # rPPG-Toolbox stops with a TypeError
        ("PURE_tscan", ["TRAIN", "TEST"], "MA-PURE_tscan"),  # rPPG-Toolbox stops with an IndexError
        ("MA-PURE_tscan", ["TRAIN"], "MA-PURE_tscan"),
    ],
)
def test_motion_augmented_data_sets_are_marked_in_the_model_name(write, name, moved, expected):
    """The weights' name tells what they were trained on."""
    values = changed(TRAINING, TRAIN__MODEL_FILE_NAME=name)
    for section in moved:
        values = changed(values, **{f"{section}__DATA__PREPROCESS__DATA_AUG": ["Motion"]})
    assert load_config(write(values)).TRAIN.MODEL_FILE_NAME == expected


@pytest.mark.parametrize("name", ["tscan", "a_b_c_d_e", "a__b"])
def test_a_model_name_that_cannot_be_marked_is_refused(write, name):
    """With an example; testing alone does not use the name."""
    motion = {"TRAIN__DATA__PREPROCESS__DATA_AUG": ["Motion"], "TRAIN__MODEL_FILE_NAME": name}
    assert "two to four words joined by '_'" in refusal(write(changed(TRAINING, **motion)))
    assert load_config(write(changed(TESTING, **motion))).TRAIN.MODEL_FILE_NAME == name


# --- Runs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [TRAINING, CLASSICAL, TESTING])
def test_loading_what_was_dumped_gives_the_same_settings(write, values):
    """A run can be repeated from the copy of its settings."""
    first = load_config(write(values))
    again = load_config(write(dump(first), "again.yaml"))
    assert again == first
    assert run_folder(again) == run_folder(first)


def test_a_dump_can_be_sent_to_another_cache(write):
    """Its derived paths follow."""
    path = write(dump(load_config(write(TRAINING))), "again.yaml")
    loaded = load_config(path, ["TRAIN.DATA.CACHED_PATH=/elsewhere", "TRAIN.DATA.DO_PREPROCESS=True"])
    assert loaded.TRAIN.DATA.CACHED_PATH == f"/elsewhere/{PURE_NAME}"


@pytest.mark.parametrize(
    "override",
    [
        "LOG.PATH=other", "NUM_WORKERS=3", "PREPROCESS_WORKERS=1", "DEVICE=cpu", "OVERWRITE=True", "RESTART=True",
        "TRAIN.DATA.CACHED_PATH=other", "TRAIN.DATA.DO_PREPROCESS=True", "MODEL.RESUME=state.pt",
        "VALID.DATA.FS=25", "UNSUPERVISED.METHOD=[POS]", "TRAIN.KEEP_CHECKPOINTS=last_and_best",
    ],
)  # fmt: skip
def test_where_and_how_a_run_is_computed_does_not_change_its_hash(write, override):
    """Such a rerun continues the unfinished one."""
    path = write(TRAINING)
    assert run_hash(load_config(path, [override])) == run_hash(load_config(path))


@pytest.mark.parametrize(
    "override",
    [
        "SEED=1", "TRAIN.LR=0.1", "TRAIN.DATA.END=0.7", "TEST.METRICS=[RMSE]", "MODEL.TSCAN.FRAME_DEPTH=20",
        "TRAIN.DATA.DATA_PATH=/", "MODEL.WEIGHTS=a.pth", "VALID.MONITOR=True", "TRAIN.DATA.FOLD.FOLD_NAME=a",
    ],
)  # fmt: skip
def test_what_defines_a_run_changes_its_hash(write, override):
    """Another run never overwrites this one."""
    path = write(changed(TRAINING, VALID__DATA={"DATASET": "PURE", "BEGIN": 0.8}))
    assert run_hash(load_config(path, [override])) != run_hash(load_config(path))


def test_a_list_defines_a_run_by_what_it_says(write, tmp_path):
    """Lists of one name in two folders are two runs; a copy elsewhere is the same; so is one that has yet to come."""
    path, found = write(TRAINING), {}
    for folder, line in (("a", "p_input0.npy"), ("b", "q_input0.npy"), ("c", "p_input0.npy")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.csv").write_text(f",input_files\n0,{line}\n")
        own = f"TRAIN.DATA.FILE_LIST_PATH={tmp_path / folder / 'train.csv'}"
        found[folder] = run_hash(load_config(path, [own]))
        assert run_hash(load_config(write(dump(load_config(path, [own]))))) == found[folder]
        path = write(TRAINING)
    assert found["a"] == found["c"] != found["b"]
    absent = [run_hash(load_config(path, [f"TRAIN.DATA.FILE_LIST_PATH={name}/train.csv"])) for name in ("x", "y", "x")]
    assert absent[0] == absent[2] != absent[1]


def test_whose_list_it_is_is_judged_by_one_rule(write, tmp_path):
    """A list that `own_list` takes for named by somebody is hashed by its content, also before names are derived."""
    config, found = load_config(write(TRAINING)), []
    data = config.TRAIN.DATA
    for folder, root in (("a", ""), ("b", ""), ("a", "caches"), ("b", "caches")):
        file = tmp_path / folder / f"{data.EXP_DATA_NAME}_0.0_0.8.csv"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f",input_files\n0,{folder}_input0.npy\n")
        config.defrost()
        data.FILE_LIST_PATH, data.CACHE_ROOT = str(file), root
        found.append((own_list(data), run_hash(config)))
    assert [own for own, _ in found] == [True, True, False, False]
    hashes = [one for _, one in found]
    assert hashes[0] != hashes[1] and hashes[2] == hashes[3]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (TRAINING, "PURE_PURE_UBFC-rPPG_tscan"),
        (changed(TRAINING, TRAIN__MODEL_FILE_NAME=""), "Tscan_PURE"),
        (changed(TRAINING, TRAIN__MODEL_FILE_NAME="a/b c"), "a_b_c"),
        (TESTING, "PURE_PhysNet_PURE"),
        (CLASSICAL, "unsupervised_PURE"),
        ({"TOOLBOX_MODE": "preprocess", "TEST": {"DATA": {"DATASET": "PURE"}}}, "preprocess_PURE"),
    ],
)
def test_a_run_folder_has_a_name_and_a_hash(write, values, name):
    """Readable for people, unique for machines."""
    folder = run_folder(load_config(write(values)))
    assert folder.parent == Path("runs/exp/runs")
    assert folder.name == f"{name}-{run_hash(load_config(write(values)))}"


@pytest.mark.parametrize("file", sorted((ROOT / "configs" / "demo").glob("*.yaml")), ids=lambda file: file.stem)
def test_a_file_of_a_method_loads_in_the_mode_without_one(file):
    """A method's own keys, also those inside a section that is always there, do not depend on the mode."""
    mode = "preprocess" if used_sections(load_config(file)) else "signal"  # nothing is preprocessed without a data set
    assert load_config(file, [f"TOOLBOX_MODE={mode}"]).TOOLBOX_MODE == mode


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (TRAINING, "c7ada185"),
        (CLASSICAL, "748b098f"),
        (changed(TESTING, INFERENCE__MODEL_PATH="/weights/PURE_PhysNet.pth"), "9ecaf40b"),
    ],
)
def test_a_run_of_before_keeps_its_hash(write, values, expected):
    """Recorded before the keys of `later` existed: unfinished runs go on in their folders."""
    assert run_hash(load_config(write(values))) == expected


@pytest.mark.parametrize(
    "override",
    [
        "TRAIN.DATA.PREPROCESS.CHUNK_SECONDS=6", "TRAIN.DATA.PREPROCESS.CHUNK_STRIDE=90", "SPLIT.SEED=1",
        "SPLIT.RATIOS=[0.6, 0.2, 0.2]", "SPLIT.BY=recording",
    ],
)  # fmt: skip
def test_a_later_key_counts_once_it_is_set(write, override):
    """Only its default is left out."""
    path = write(TRAINING)
    assert run_hash(load_config(path, [override])) != run_hash(load_config(path))


def test_a_length_in_seconds_is_part_of_the_name(write):
    """Two lengths must not share a folder of checkpoints."""
    loaded = load_config(write(TRAINING), ["TRAIN.DATA.PREPROCESS.CHUNK_SECONDS=6.5"])
    assert "_ClipLength6.5s_" in loaded.TRAIN.DATA.EXP_DATA_NAME


def test_a_list_of_files_that_holds_numbers_is_no_fault_of_the_name(write):
    """A key that this run does not read may say anything; the name of the run's folder tells it apart."""
    folders = [run_hash(load_config(write(CLASSICAL), [f"SIGNAL.FILES={value}"])) for value in ("[0]", "[1]", "[]")]
    assert len(set(folders)) == 3
