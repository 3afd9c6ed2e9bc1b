"""The configuration: which keys are known, where data are looked for, what is refused and how the refusal reads."""

import subprocess
import sys

import pytest

import config
from config import load_config, read
from neural_methods.options import PUBLISHED
from registry import DATASETS, METHODS
from settings import layers
from settings.loaded import value_of
from settings.merging import declare
from tests.config_tools import CLASSICAL, TESTING, TRAINING, add_entries, changed, refusal, write_yaml
from tests.conftest import ROOT


@pytest.fixture
def write(tmp_path):
    """Write a mapping (or plain text) as a YAML file below tmp_path; its path."""
    return lambda values, name="x.yaml": write_yaml(values, tmp_path / name)


@pytest.fixture
def entries(monkeypatch):
    """A registered method and a data set with options, forgotten after the test."""
    add_entries(monkeypatch)


# --- Options of methods and data sets ------------------------------------------------------------------------------


def test_the_options_of_a_named_method_join_the_schema(entries, write):
    """Adding a method adds its keys; config.py stays as it is."""
    values = changed(TRAINING, MODEL={"NAME": "Mine", "MINE": {"DEPTH": 5}})
    loaded = load_config(write(values))
    assert (loaded.MODEL.MINE.DEPTH, loaded.MODEL.MINE.DEEP.ER, loaded.MODEL.SHARED) == (5, 0.5, 1)
    assert "MODEL.MINE.DEPHT" in refusal(write(values), "MODEL.MINE.DEPHT=2")


def test_the_options_of_a_named_data_set_join_every_data_node(entries, write):
    """None as a default takes any value; naming another data set on the command line keeps the keys known."""
    path = write(changed(CLASSICAL, UNSUPERVISED__DATA={"DATASET": "Own", "OWN": {"PRESET": "easy"}}))
    loaded = load_config(path)
    assert (loaded.UNSUPERVISED.DATA.OWN.PRESET, loaded.TEST.DATA.OWN.SIZE) == ("easy", 4)
    assert load_config(path, ["UNSUPERVISED.DATA.DATASET=PURE"]).UNSUPERVISED.DATA.OWN.PRESET == "easy"


def test_the_options_of_a_data_set_are_known_where_only_its_keys_are_used(entries, write):
    """A real data set's miniature is rendered with the settings of the renderer."""
    loaded = load_config(write(CLASSICAL), ["UNSUPERVISED.DATA.OWN.SIZE=9"])
    assert loaded.UNSUPERVISED.DATA.OWN.SIZE == 9


def test_the_options_of_a_data_set_are_checked_where_it_is_used(entries, write):
    """Its checks stand beside its keys; other runs have neither."""
    path = write(changed(CLASSICAL, UNSUPERVISED__DATA={"DATASET": "Own", "OWN": {"SIZE": 0}}))
    assert "UNSUPERVISED.DATA.OWN.SIZE is 0, but must be at least 1." in refusal(path)
    load_config(write(CLASSICAL))


def test_every_check_belongs_to_a_key():
    """A mistyped path would check nothing."""
    tree = config.schema()
    for name in DATASETS:
        declare(tree.TRAIN.DATA, DATASETS[name].OPTIONS)
    for key in (key for owner in config.OWNERS for key in owner.checks()):
        value_of(tree, key.replace("D.", "TRAIN.DATA.", 1) if key.startswith("D.") else key)


def test_a_classical_run_knows_the_own_keys_of_a_method_in_the_file(entries, write):
    """A training file with another mode on the command line still loads."""
    values = changed(CLASSICAL, MODEL={"NAME": "Mine", "MINE": {"DEPTH": 5}})
    assert load_config(write(values)).MODEL.MINE.DEPTH == 5


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_the_keys_of_rppg_toolbox_methods_are_those_of_their_trainers(name):
    """They stand once, where no torch is needed, and each trainer builds on them."""
    for section, values in PUBLISHED[name].options.items():
        assert values.items() <= METHODS[name].OPTIONS[section].items()


def test_a_classical_run_does_not_import_torch():
    """Checking and starting one takes no two seconds of imports."""
    code = (
        "import config, sys; config.read('configs/infer_configs/PURE_UNSUPERVISED.yaml'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


# --- Data roots ----------------------------------------------------------------------------------------------------


def data_path(write, tmp_path, **options) -> str:
    """DATA_PATH after loading, relative to tmp_path where it lies there."""
    values = changed(CLASSICAL, UNSUPERVISED__DATA__DATA_PATH=options.pop("given", "/authors/PURE/RawData"))
    loaded = read(write(values), options.pop("overrides", ()), **options)
    return loaded.config.UNSUPERVISED.DATA.DATA_PATH.replace(str(tmp_path), ".")


def test_a_data_path_that_exists_is_used(write, tmp_path, monkeypatch):
    """The data root is only a second choice."""
    (tmp_path / "root" / "PURE").mkdir(parents=True)
    monkeypatch.setenv("RPPG_DATA", str(tmp_path / "root"))
    assert data_path(write, tmp_path, given=str(tmp_path)) == "."


def test_a_missing_data_path_is_looked_for_below_the_data_root(write, tmp_path, monkeypatch):
    """And the log says so."""
    monkeypatch.setenv("RPPG_DATA", str(tmp_path / "root"))
    assert data_path(write, tmp_path) == "/authors/PURE/RawData"
    (tmp_path / "root" / "PURE").mkdir(parents=True)
    assert data_path(write, tmp_path) == "./root/PURE"
    assert (
        "UNSUPERVISED.DATA.DATA_PATH: '/authors/PURE/RawData' does not exist; reading"
        in read(write(changed(CLASSICAL, UNSUPERVISED__DATA__DATA_PATH="/authors/PURE/RawData"))).log[-1]
    )


@pytest.mark.parametrize("part", ["Train", "Val", "Test", "DATASET_2"])
def test_the_parts_of_a_data_set_are_kept_below_the_root(write, tmp_path, monkeypatch, part):
    """SCAMPS and UBFC-rPPG are stored in such folders."""
    (tmp_path / "root" / "PURE" / part).mkdir(parents=True)
    monkeypatch.setenv("RPPG_DATA", str(tmp_path / "root"))
    assert data_path(write, tmp_path, given=f"/authors/{part}") == f"./root/PURE/{part}"


def test_a_missing_part_is_not_replaced_by_the_whole(write, tmp_path, monkeypatch):
    """Training on Test would be a silent mistake; DATASET_2 is only another level of folders."""
    (tmp_path / "root" / "PURE").mkdir(parents=True)
    monkeypatch.setenv("RPPG_DATA", str(tmp_path / "root"))
    assert data_path(write, tmp_path, given="/authors/Train") == "/authors/Train"
    assert data_path(write, tmp_path, given="/authors/DATASET_2") == "./root/PURE"


def test_the_local_file_maps_single_data_sets(write, tmp_path, monkeypatch):
    """After the environment's root, which may hold only some of them."""
    for folder in ("mapped", "root", "local_root/PURE"):
        (tmp_path / folder).mkdir(parents=True)
    local = write({"DATA_PATHS": {"PURE": str(tmp_path / "mapped")}}, "local.yaml")
    monkeypatch.setenv("RPPG_LOCAL", str(local))
    monkeypatch.setenv("RPPG_DATA", str(tmp_path / "root"))
    assert data_path(write, tmp_path) == "./mapped"
    write({"DATA_ROOT": str(tmp_path / "local_root")}, "local.yaml")
    assert data_path(write, tmp_path) == "./local_root/PURE"


def test_the_local_file_lies_in_configs_by_default(monkeypatch):
    """Where git ignores it."""
    monkeypatch.delenv("RPPG_LOCAL")
    monkeypatch.setattr(layers, "ROOT", ROOT / "tests")
    assert layers.local_file() is None


def test_a_path_on_the_command_line_must_exist(write, tmp_path):
    """Somebody typed it just now; a root would hide the mistake."""
    override = ["UNSUPERVISED.DATA.DATA_PATH=/no/such/folder"]
    assert "is '/no/such/folder', which does not exist." in refusal(write(CLASSICAL), *override)
    assert data_path(write, tmp_path, overrides=override, new_paths=True) == "/no/such/folder"


def test_a_data_set_that_makes_its_own_files_may_name_a_new_folder(entries, write):
    """It fills the folder when it is read."""
    overrides = ["UNSUPERVISED.DATA.DATASET=Own", "UNSUPERVISED.DATA.DATA_PATH=/no/such/folder"]
    assert load_config(write(CLASSICAL), overrides).UNSUPERVISED.DATA.DATA_PATH == "/no/such/folder"


# --- Checks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("TOOLBOX_MODE", "only_train", "Did you mean 'train'? Known: measure, only_test, preprocess, signal"),
        ("SEED", -1, "must be at least 0"),
        ("PREPROCESS_WORKERS", 0, "must be 1 or more, or -1"),
        ("PREPROCESS_WORKERS", -2, "must be 1 or more, or -1"),
        ("SHARD", "9/8", "must be i/n with i from 1 to n, such as 3/8"),
        ("DASK", "node1:8786", "such as tcp://node1:8786"),
        ("DEVICE", "gpu", "must be auto, cpu, mps, cuda or cuda:<number>"),
        ("TRAIN__DATA__DATASET", "UBFC-RPPG", "Did you mean 'UBFC-rPPG'?"),
        ("TRAIN__DATA__DATASET", "", "is not set. Known: "),
        ("TRAIN__DATA__FS", -1, "must be at least 0"),
        ("TRAIN__DATA__FS", float("nan"), "or NaN"),
        ("TRAIN__DATA__DATA_FORMAT", "NHWC", "Known: NDCHW, NCDHW, NDHWC"),
        ("TRAIN__DATA__BEGIN", -0.1, "must lie in [0, 1)"),
        ("TRAIN__DATA__BEGIN", 1.0, "must lie in [0, 1)"),
        ("TRAIN__DATA__BEGIN", 0.8, "must be below TRAIN.DATA.END, which is 0.8"),
        ("TRAIN__DATA__END", 1.5, "must lie in (0, 1]"),
        ("TRAIN__DATA__END", 0.0, "must lie in (0, 1]"),
        ("TRAIN__DATA__PREPROCESS__DATA_TYPE", ["Diffnormalized"], "Did you mean 'DiffNormalized'?"),
        ("TRAIN__DATA__PREPROCESS__LABEL_TYPE", "raw", "is 'raw'. Did you mean 'Raw'? Known: '', Raw"),
        ("TRAIN__DATA__PREPROCESS__CHUNK_LENGTH", 0, "must be at least 1"),
        ("TRAIN__DATA__PREPROCESS__RESIZE__H", 1_000_000, "must lie in [1, 8192]"),
        ("TRAIN__DATA__PREPROCESS__BIGSMALL__RESIZE__BIG_W", 1_000_000, "must lie in [1, 8192]"),
        ("TRAIN__DATA__PREPROCESS__CHUNK_SECONDS", -1.0, "must be at least 0"),
        ("TRAIN__DATA__PREPROCESS__CHUNK_STRIDE", -1, "must be at least 0"),
        ("TRAIN__DATA__PREPROCESS__IBVP__DATA_MODE", "rgb", "Did you mean 'RGB'? Known: RGB, T, RGBT"),
        ("TRAIN__DATA__PREPROCESS__BIGSMALL__RESIZE__BIG_W", 0, "must lie in [1, 8192]"),
        ("TRAIN__DATA__PREPROCESS__RESIZE__W", 0, "must lie in [1, 8192]"),
        ("SPLIT__KIND", "randon", "Did you mean 'random'? Known: '', kfold, loso, random"),
        ("SPLIT__RATIOS", [0.7, 0.3], "three shares (training, validation, test) whose sum is 1"),
        ("SPLIT__RATIOS", [0.7, 0.2, 0.2], "three shares (training, validation, test) whose sum is 1"),
        ("SPLIT__RATIOS", [0.0, 0.5, 0.5], "three shares (training, validation, test) whose sum is 1"),
        ("SPLIT__BY", "person", "Known: subject, recording"),
        ("SPLIT__SEED", -1, "must be at least 0"),
        (
            "TRAIN__DATA__PREPROCESS__CROP_FACE__BACKEND",
            "HCC",
            "is 'HCC'. Did you mean 'HC'? Known: ",
        ),
        ("TRAIN__DATA__PREPROCESS__CROP_FACE__LARGE_BOX_COEF", 0, "must be above 0"),
        ("TRAIN__DATA__FILE_LIST_PATH", "lists.txt", "neither a folder nor a .csv file"),
        ("TRAIN__BATCH_SIZE", 0, "must be at least 1"),
        ("TRAIN__LR", 0.0, "must be above 0"),
        ("TRAIN__LR", float("inf"), "no setting means that"),
        ("TRAIN__AMP", "fp8", "Known: '', bf16, fp16"),
        ("TRAIN__EMA", 1.0, "must lie in [0, 1)"),
        ("TEST__METRICS", ["MEA"], "holds 'MEA'. Did you mean 'MAE'?"),
        ("MODEL__NAME", "TSCAN_", "Did you mean 'Tscan'?"),
        ("MODEL__NAME", "", "is not set. Known: "),
        ("INFERENCE__EVALUATION_METHOD", "fft", "Did you mean 'FFT'? Known: FFT, peak detection, welch, path."),
        ("INFERENCE__PRESET", "tolbox", "Did you mean 'toolbox'? Known: "),
        ("INFERENCE__HR_BAND", [3.0, 0.6], "two rising frequencies in Hz"),
        ("INFERENCE__HR_BAND", [0.6], "two rising frequencies in Hz"),
        ("INFERENCE__EVALUATION_WINDOW__WINDOW_SIZE", 0, "must be above 0"),
    ],
)
def test_a_value_out_of_place_is_refused_at_the_start(write, key, value, wanted):
    """File, key, value and what would do, before any work is done."""
    path = write(changed(TRAINING, **{key: value}))
    message = refusal(path)
    assert message.startswith(f"{path}: {key.replace('__', '.')} ") and wanted in message


def test_only_what_the_mode_uses_is_checked(write):
    """rPPG-Toolbox stops at errors in sections the run never reads."""
    load_config(write(changed(CLASSICAL, TRAIN__DATA__END=7.0, TRAIN__EPOCHS=0, MODEL__NAME="Nobody")))
    load_config(write(changed(TRAINING, UNSUPERVISED__METHOD=["Nobody"], VALID__DATA__DATASET="Nobody")))


def test_the_detector_is_not_checked_where_no_face_is_cropped(write):
    """The key has no effect then."""
    load_config(
        write(changed(CLASSICAL, UNSUPERVISED__DATA__PREPROCESS__CROP_FACE={"DO_CROP_FACE": False, "BACKEND": "X"}))
    )


def test_validation_is_checked_when_it_selects_or_monitors(write):
    """And needs no data set otherwise."""
    assert "VALID.DATA.DATASET is not set" in refusal(write(changed(TRAINING, TEST__USE_LAST_EPOCH=False)))
    assert "VALID.DATA.DATASET is not set" in refusal(write(changed(TRAINING, VALID__MONITOR=True)))


@pytest.mark.parametrize(("method", "wanted"), [([], "is empty"), (["POSS"], "Did you mean 'POS'?")])
def test_classical_methods_are_checked_by_name(write, method, wanted):
    """Before the first recording is read."""
    assert wanted in refusal(write(changed(CLASSICAL, UNSUPERVISED__METHOD=method)))


@pytest.mark.parametrize("name", ["BA", "BA_plot", "AU_METRICS"])
def test_families_of_metrics_are_accepted(write, name):
    """rPPG-Toolbox takes every name that contains BA or AU."""
    load_config(write(changed(TRAINING, TEST__METRICS=[name])))


def test_pseudo_labels_do_not_judge_classical_methods(write):
    """POS would be compared with POS."""
    key = "UNSUPERVISED__DATA__PREPROCESS__USE_PSUEDO_PPG_LABEL"
    assert "judged by measured labels" in refusal(write(changed(CLASSICAL, **{key: True})))


def test_only_test_needs_weights(write):
    """Nothing else can be tested."""
    assert "only_test needs a file of weights" in refusal(write(TESTING), "INFERENCE.MODEL_PATH=")


def test_preprocess_uses_every_section_that_names_a_data_set(write):
    """And needs one; evaluation is none of its business."""
    path = write({"TOOLBOX_MODE": "preprocess", "TEST": {"DATA": {"DATASET": "PURE"}}, "INFERENCE": {"PRESET": "x"}})
    assert config.used_sections(load_config(path)) == ["TEST"]
    assert "needs a DATASET in at least one of" in refusal(write({"TOOLBOX_MODE": "preprocess"}))


def test_a_new_list_is_not_made_over_a_list_that_is_named(write):
    """As in rPPG-Toolbox: preprocessing and a given .csv exclude each other."""
    values = changed(CLASSICAL, UNSUPERVISED__DATA__FILE_LIST_PATH="mine.csv")
    assert load_config(write(values)).UNSUPERVISED.DATA.FILE_LIST_PATH == "mine.csv"
    message = refusal(write(changed(values, UNSUPERVISED__DATA__DO_PREPROCESS=True)))
    assert "names the list 'mine.csv'" in message and "DO_PREPROCESS: False" in message
    left = write(config.dump(load_config(write(values))))  # by a run
    assert "names the list 'mine.csv'" in refusal(left, "UNSUPERVISED.DATA.DO_PREPROCESS=True")
    left = write(config.dump(load_config(write(CLASSICAL))))
    assert load_config(left, ["UNSUPERVISED.DATA.DO_PREPROCESS=True"]).UNSUPERVISED.DATA.DO_PREPROCESS


def test_a_folder_of_lists_may_have_a_dot_in_its_name(write, tmp_path):
    """When it exists it can be told from a file."""
    (tmp_path / "v1.2").mkdir()
    loaded = load_config(write(changed(CLASSICAL, UNSUPERVISED__DATA__FILE_LIST_PATH=str(tmp_path / "v1.2"))))
    assert loaded.UNSUPERVISED.DATA.FILE_LIST_PATH.startswith(str(tmp_path / "v1.2" / "PURE_"))


@pytest.mark.parametrize("backend", ["Y5F", "MyY5Fx"])
def test_every_name_with_y5f_means_yolo5face(write, backend):
    """rPPG-Toolbox looks for the letters only."""
    key = "UNSUPERVISED__DATA__PREPROCESS__CROP_FACE__BACKEND"
    assert read(write(changed(CLASSICAL, **{key: backend})))


RANDOM = changed(
    TRAINING,
    SPLIT={"KIND": "random"},
    TEST__DATA={"DATASET": "PURE", "FS": 30},
    TRAIN__DATA__END=1.0,
)


def test_a_random_split_is_made_of_the_training_data(write):
    """The other sections name the same data, and every section that is used gets a share."""
    assert load_config(write(RANDOM)).SPLIT.RATIOS == [0.7, 0.1, 0.2]
    other = changed(RANDOM, TEST__DATA__DATASET="UBFC-rPPG")
    assert "TEST.DATA.DATASET is 'UBFC-rPPG', but SPLIT.KIND 'random'" in refusal(write(other))
    assert "leaves TEST nothing" in refusal(write(RANDOM), "SPLIT.RATIOS=[0.8, 0.2, 0.0]")
    alone = [*("TOOLBOX_MODE=train", "SPLIT.RATIOS=[0.8, 0.2, 0.0]"), "VALID.MONITOR=True", "VALID.DATA.DATASET=PURE"]
    assert load_config(write(RANDOM), alone).SPLIT.KIND == "random"
    assert "leaves VALID nothing" in refusal(write(RANDOM), *alone, "SPLIT.RATIOS=[1.0, 0.0, 0.0]")


def test_a_random_split_can_be_resumed_from_a_state_and_folds_cannot(write):
    """It is one training."""
    assert load_config(write(RANDOM), ["MODEL.RESUME=state.pt"]).MODEL.RESUME == "state.pt"
    assert "SPLIT.KIND makes several" in refusal(write(RANDOM), "MODEL.RESUME=state.pt", "SPLIT.KIND=loso")


def test_a_split_that_a_mode_cannot_make_is_warned_of(write):
    """Folds are there to be tested."""
    warnings = read(write(RANDOM), ["TOOLBOX_MODE=train", "SPLIT.KIND=loso"]).warnings
    assert warnings == ["SPLIT.KIND has no effect in train."]


# --- Warnings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (changed(TRAINING, VALID__DATA={"BEGIN": 0.8, "END": 0.8}), "VALID.DATA holds no subject"),
        (changed(TRAINING, TRAIN__OPTIMIZER__EPS=1e-8), "TRAIN.OPTIMIZER has no effect"),
        (changed(TESTING, INFERENCE__MODEL_PATH="w/iBVP_iBVPNet.pth"), "never released"),
        (changed(TESTING, INFERENCE__MODEL_PATH="PURE_FactorizePhys_FSAM_Res.pth"), "without the attention block"),
        (
            changed(
                TESTING,
                INFERENCE__MODEL_PATH="PURE_EfficientPhys.pth",
                TEST__DATA__PREPROCESS={"DATA_TYPE": ["Raw"], "LABEL_TYPE": "Standardized"},
            ),
            "feeds Raw frames and Standardized labels to PURE_EfficientPhys, which was trained on Standardized frames",
        ),
        (
            changed(
                TESTING,
                INFERENCE__MODEL_PATH="PURE_PhysMamba_DiffNormalized.pth",
                TEST__DATA__PREPROCESS={"LABEL_TYPE": "Raw", "CROP_FACE": {"DO_CROP_FACE": False}},
            ),
            "these weights predict differences: they are not summed up before the heart rate is read. The face",
        ),
        (
            changed(CLASSICAL, UNSUPERVISED__DATA__PREPROCESS__CROP_FACE__DETECTION={"USE_MEDIAN_FACE_BOX": True}),
            "USE_MEDIAN_FACE_BOX has no effect without DO_DYNAMIC_DETECTION",
        ),
        (
            changed(CLASSICAL, UNSUPERVISED__DATA__FILTERING={"EXCLUSION_LIST": ["subject3"]}),
            "FILTERING.EXCLUSION_LIST has no effect without USE_EXCLUSION_LIST=True",
        ),
        (
            changed(CLASSICAL, UNSUPERVISED__DATA__FILTERING={"TASK_LIST": ["T1"]}),
            "FILTERING.TASK_LIST has no effect without SELECT_TASKS=True",
        ),
        (
            changed(TRAINING, TRAIN__DATA__FOLD__FOLD_PATH="a.csv"),
            "TRAIN.DATA.FOLD.FOLD_PATH has no effect without FOLD_NAME",
        ),
    ],
)
def test_settings_that_run_but_cannot_be_meant_are_warned_of(write, values, wanted):
    """They stay as rPPG-Toolbox has them."""
    warnings = read(write(values)).warnings
    assert len(warnings) == 1 and wanted in warnings[0]


def test_sound_settings_are_not_warned_of(write):
    """Silence means something."""
    assert [read(write(values)).warnings for values in (TRAINING, CLASSICAL, TESTING)] == [[], [], []]
