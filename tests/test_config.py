"""The configuration: what wins, what is converted, what is refused and how the refusal reads, which names come out."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from yacs.config import CfgNode

import config
from config import ConfigError, dump, load_config, read, run_folder, run_hash
from dataset.data_loader.base import BaseLoader

ROOT = Path(__file__).resolve().parent.parent

TRAINING = {
    "TOOLBOX_MODE": "train_and_test",
    "TRAIN": {
        "LR": "9e-3",
        "MODEL_FILE_NAME": "PURE_PURE_UBFC-rPPG_tscan",
        "DATA": {
            "DATASET": "PURE",
            "FS": 30,
            "END": 0.8,
            "PREPROCESS": {
                "DATA_TYPE": ["DiffNormalized", "Standardized"],
                "LABEL_TYPE": "DiffNormalized",
                "RESIZE": {"W": 72, "H": 72},
            },
        },
    },
    "TEST": {"METRICS": ["MAE", "BA"], "DATA": {"DATASET": "UBFC-rPPG", "FS": 30}},
    "MODEL": {"NAME": "Tscan"},
}
CLASSICAL = {
    "TOOLBOX_MODE": "unsupervised_method",
    "UNSUPERVISED": {"METHOD": ["POS"], "METRICS": ["MAE"], "DATA": {"DATASET": "PURE", "FS": 30}},
}
TESTING = {
    "TOOLBOX_MODE": "only_test",
    "TEST": {"METRICS": ["MAE"], "DATA": {"DATASET": "PURE", "FS": 30}},
    "MODEL": {"NAME": "Physnet"},
    "INFERENCE": {"MODEL_PATH": "weights/PURE_PhysNet.pth"},
}


@pytest.fixture
def write(tmp_path):
    """Write a mapping (or plain text) as a YAML file below tmp_path; its path."""

    def make(values, name: str = "x.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
        return path

    return make


def changed(values: dict, **keys) -> dict:
    """A copy of `values` with KEY__SUBKEY=value changed."""
    values = copy.deepcopy(values)
    for path, value in keys.items():
        node = values
        *parents, last = path.split("__")
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
    return values


def refusal(path, *overrides, **options) -> str:
    """The message by which a configuration is refused."""
    with pytest.raises(ConfigError) as error:
        read(path, overrides, **options)
    return str(error.value)


# --- Values --------------------------------------------------------------------------------------------------------


def test_the_result_is_a_frozen_tree_of_the_yaml_paths(write):
    """The path in the file is the path in Python."""
    loaded = load_config(write(TRAINING))
    assert loaded.TRAIN.DATA.PREPROCESS.RESIZE.W == 72
    assert isinstance(loaded, CfgNode) and loaded.is_frozen()


def test_the_four_data_nodes_are_the_same_section():
    """One function, used four times; no value is shared between them."""
    tree = config.schema()
    nodes = [tree[section].DATA for section in config.SECTIONS]
    assert all(node == nodes[0] for node in nodes)
    nodes[0].INFO.LIGHT.append(1)
    assert nodes[1].INFO.LIGHT == [""]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("TRAIN__LR", "9e-3", 0.009),  # a text for YAML 1.1
        ("TRAIN__LR", 1, 1.0),  # rPPG-Toolbox refuses a whole number here
        ("TRAIN__DATA__BEGIN", 0, 0.0),
        ("TRAIN__DATA__FS", 29.97, 29.97),
        ("TRAIN__OPTIMIZER__BETAS", [0.8, 0.9], (0.8, 0.9)),
        ("TRAIN__OPTIMIZER__BETAS", "(0.8, 0.9)", (0.8, 0.9)),
        ("TEST__METRICS", "['RMSE']", ["RMSE"]),
        ("TRAIN__MODEL_FILE_NAME", "12_3", "12_3"),  # reads as the number 123, but a name is wanted
        ("TRAIN__MODEL_FILE_NAME", "'quoted'", "quoted"),
        ("VALID__DATA__DATASET", "None", None),
        ("TRAIN__PLOT_LOSSES_AND_LR", "False", False),
        ("LOG__PATH", None, None),
    ],
)
def test_values_are_decoded_as_yacs_does_and_a_little_more(write, key, value, expected):
    """Texts that are Python literals become them; harmless conversions of type are made."""
    log = config.schema()
    loaded = config.Loaded(log, file="x")
    config._merge(loaded, log, changed({}, **{key: value}), "x.yaml")
    found = log
    for part in key.split("__"):
        found = found[part]
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("TRAIN__EPOCHS", 2.5, "must be a whole number, such as 50"),
        ("TRAIN__EPOCHS", True, "must be a whole number"),
        ("TRAIN__LR", "fast", "must be a number, such as 0.0001"),
        ("TEST__METRICS", "MAE", "must be a list, such as ['name']"),
        ("TRAIN__DATA__DATASET", ["PURE"], "must be a text, such as 'name'"),
        ("TRAIN__DATA__DO_PREPROCESS", 1, "must be True or False, such as False"),
        ("TRAIN__OPTIMIZER__BETAS", 0.9, "must be a list, such as (0.9, 0.999)"),
    ],
)
def test_a_wrong_type_names_file_key_value_and_type(write, key, value, wanted):
    """What, where, and what would do."""
    path = write(changed(TRAINING, **{key: value}))
    message = refusal(path)
    assert message.startswith(f"{path}: {key.replace('__', '.')} is {value!r}")
    assert wanted in message


def test_a_list_element_is_not_decoded(write):
    """As in rPPG-Toolbox: only whole values are."""
    loaded = load_config(write(changed(TRAINING, TEST__DATA__FILTERING__TASK_LIST=["1e3", "None"])))
    assert loaded.TEST.DATA.FILTERING.TASK_LIST == ["1e3", "None"]


def test_an_empty_section_changes_nothing(write):
    """`OPTIMIZER:` with all its lines commented out is no mistake."""
    assert load_config(write(changed(TRAINING, TRAIN__OPTIMIZER=None))).TRAIN.OPTIMIZER.EPS == 1e-4


def test_a_value_in_place_of_a_section_is_refused(write):
    """The message lists what the section holds."""
    assert "TRAIN is 3, but it is a section: EPOCHS" in refusal(write({"TRAIN": 3}))


@pytest.mark.parametrize(
    ("values", "key", "near"),
    [
        ({"TRAIM": {}}, "TRAIM", "'TRAIN'"),
        ({"TRAIN": {"DATA": {"PREPROCES": {}}}}, "TRAIN.DATA.PREPROCES", "'PREPROCESS'"),
        ({"TEST": {"DATA": {"Fs": 30}}}, "TEST.DATA.Fs", "'FS'"),
        (
            {"TEST": {"DATA": {"PREPROCESS": {"CROP_FACE": {"LARGE_FACE_BOX": True}}}}},
            "TEST.DATA.PREPROCESS.CROP_FACE.LARGE_FACE_BOX",
            "'USE_LARGE_FACE_BOX'",
        ),
    ],
)
def test_an_unknown_key_is_answered_by_the_nearest(write, values, key, near):
    """A mistyped key never passes silently."""
    path = write({**CLASSICAL, **values})
    assert refusal(path).startswith(f"{path}: unknown key {key}. Did you mean {near}? Known: ")


def test_an_unknown_section_of_model_points_to_its_name(write):
    """A method's own keys are known when the method is named."""
    message = refusal(write(changed(TRAINING, MODEL__QQQQ={"A": 1})))
    assert "unknown key MODEL.QQQQ. (A method's own section is known when MODEL.NAME names it" in message


# --- Files and layers ----------------------------------------------------------------------------------------------


def test_strength_of_the_layers(write, tmp_path, monkeypatch):
    """Defaults < a DATA node's BASE < BASE in order < the file < local.yaml < environment < command line."""
    for name, length in (("data", 1), ("b1", 2), ("b2", 3)):
        node = {"PREPROCESS": {"CHUNK_LENGTH": length, "RESIZE": {"W": length}}}
        write(node if name == "data" else {"TRAIN": {"DATA": node}}, f"{name}.yaml")
    values = changed(TRAINING, BASE=["b1.yaml", "", "b2.yaml"], TRAIN__DATA__BASE=["data.yaml"])
    values["TRAIN"]["DATA"]["PREPROCESS"] = {"CHUNK_LENGTH": 4, "RESIZE": {"H": 9}}
    path = write(values)

    def found(*overrides: str) -> int:
        return load_config(path, overrides).TRAIN.DATA.PREPROCESS.CHUNK_LENGTH

    assert found() == 4
    assert load_config(path).TRAIN.DATA.PREPROCESS.RESIZE.W == 3
    write(changed(values, BASE=["b1.yaml"]))
    assert load_config(path).TRAIN.DATA.PREPROCESS.RESIZE.W == 2
    write(changed(values, BASE=[]))
    assert load_config(path).TRAIN.DATA.PREPROCESS.RESIZE.W == 1
    local = write({"TRAIN": {"DATA": {"PREPROCESS": {"CHUNK_LENGTH": 5}}}, "CACHED_PATH": "local"}, "local.yaml")
    monkeypatch.setenv("RPPG_LOCAL", str(local))
    assert found() == 5
    assert load_config(path).TEST.DATA.CACHE_ROOT == "local"
    monkeypatch.setenv("RPPG_CACHE", "environment")
    assert load_config(path).TEST.DATA.CACHE_ROOT == "environment"
    assert found("TRAIN.DATA.PREPROCESS.CHUNK_LENGTH=6") == 6
    assert load_config(path, ["TEST.DATA.CACHED_PATH=line"]).TEST.DATA.CACHE_ROOT == "line"


def test_base_is_relative_to_the_file_that_names_it(write, monkeypatch, tmp_path):
    """And works from any working directory."""
    write({"SEED": 7}, "deep/er/c.yaml")
    write({"BASE": ["er/c.yaml"]}, "deep/b.yaml")
    path = write({"BASE": ["deep/b.yaml"], **CLASSICAL})
    monkeypatch.chdir(tmp_path / "deep")
    loaded = read(path)
    assert loaded.config.SEED == 7
    assert [line.rsplit("/", 1)[-1] for line in loaded.log] == ["c.yaml", "b.yaml", "x.yaml"]
    assert all(line.startswith("=> Merging a config file from ") for line in loaded.log)
    assert loaded.config.BASE == ["deep/b.yaml"]


def test_a_file_in_the_working_directory_is_logged_too(write, monkeypatch, tmp_path):
    """A bare file name has no folder part."""
    write(CLASSICAL)
    monkeypatch.chdir(tmp_path)
    assert read("x.yaml").log == ["=> Merging a config file from x.yaml"]


def test_base_in_a_circle_is_refused(write):
    """Instead of an endless recursion."""
    write({"BASE": ["x.yaml"]}, "b.yaml")
    assert "BASE goes in a circle" in refusal(write({"BASE": ["b.yaml"], **CLASSICAL}))


def test_base_twice_by_two_ways_is_no_circle(write):
    """Two bases may share a third."""
    write({"SEED": 7}, "c.yaml")
    for name in "ab":
        write({"BASE": ["c.yaml"]}, f"{name}.yaml")
    assert load_config(write({"BASE": ["a.yaml", "b.yaml"], **CLASSICAL})).SEED == 7


def test_a_missing_base_names_both_files(write):
    """The file that names it and the path that was looked for, with the nearest file."""
    write({}, "pure.yaml")
    path = write(changed(CLASSICAL, BASE=["pur.yaml"]))
    message = refusal(path)
    assert message.startswith(f"{path}: BASE names ") and "which does not exist. Did you mean " in message
    assert "pure.yaml" in message


def test_base_may_only_be_a_list_of_yaml_files(write, tmp_path):
    """Nothing that could run code, and no mapping."""
    (tmp_path / "b.py").write_text("cfg = {}")
    assert "a configuration is a .yaml file" in refusal(write(changed(CLASSICAL, BASE=["b.py"])))
    assert "must be a list of files" in refusal(write(changed(CLASSICAL, BASE="b.yaml")))


def test_the_base_of_a_data_node_holds_data_keys_only(write):
    """A whole configuration in that place is a mistake."""
    write({"TRAIN": {"EPOCHS": 1}}, "whole.yaml")
    message = refusal(write(changed(CLASSICAL, UNSUPERVISED__DATA__BASE=["whole.yaml"])))
    assert "unknown key UNSUPERVISED.DATA.TRAIN" in message and "whole.yaml" in message


def test_the_base_of_a_data_node_can_come_from_the_command_line(write, monkeypatch, tmp_path):
    """Relative to the working directory then."""
    write({"FS": 25}, "data.yaml")
    path = write(changed(CLASSICAL, UNSUPERVISED__DATA={"DATASET": "PURE"}))
    monkeypatch.chdir(tmp_path)
    assert load_config(path, ["UNSUPERVISED.DATA.BASE=[data.yaml]"]).UNSUPERVISED.DATA.FS == 25


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "holds no settings"),
        ("- a\n- b\n", "holds no settings"),
        ("A: [1,\nB: 2\n", "line 3: expected ',' or ']'"),
        ("SEED: 1\nTEST: {}\nSEED: 2\n", "'SEED' appears twice, in lines 1 and 3."),
        ("TEST:\n  DATA:\n    FS: 1\n    FS: 2\n", "'FS' appears twice, in lines 3 and 4."),
        ("SEED: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
        ("? [a, b]\n: 1\n", "line 1: a key is a list"),
        ("A: \x07\n", "special characters are not allowed"),
    ],
)
def test_a_file_that_is_no_plain_mapping_is_refused(write, text, wanted):
    """Broken YAML, repeated keys and objects; the file is named."""
    path = write(text)
    message = refusal(path)
    assert message.startswith(f"{path}: ") and wanted in message


def test_merge_keys_of_yaml_work(write):
    """Anchors and `<<` are part of plain YAML."""
    text = "TOOLBOX_MODE: unsupervised_method\nTEST: &t {DATA: &d {DATASET: PURE, FS: 30}}\n"
    path = write(text + "UNSUPERVISED:\n  METHOD: [POS]\n  DATA:\n    <<: *d\n    FS: 25\n")
    assert load_config(path).UNSUPERVISED.DATA.FS == 25


def test_a_file_that_cannot_be_read_says_why(tmp_path, write, monkeypatch):
    """Missing, near to another, below the repository, a folder, not text."""
    write(CLASSICAL)
    assert "no such file. Did you mean " in refusal(tmp_path / "y.yaml")
    assert refusal(tmp_path / "none" / "x.yaml").endswith("no such file.")
    monkeypatch.chdir(tmp_path)
    assert f"It exists as {str(ROOT / 'configs/demo/classical.yaml')!r}" in refusal("configs/demo/classical.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert "cannot be read" in refusal(tmp_path / "folder.yaml")
    (tmp_path / "video.yaml").write_bytes(b"\xff\xd8\xff\xe0")
    assert "can't decode" in refusal(tmp_path / "video.yaml")


@pytest.mark.parametrize("override", ["TRAIN.LR", "=3", " =3"])
def test_an_override_without_key_or_value_is_refused(write, override):
    """With an example."""
    assert "is not KEY=VALUE, such as TRAIN.LR=1e-3" in refusal(write(CLASSICAL), override)


def test_overrides_read_as_in_a_file(write):
    """Lists, booleans, numbers, names with equals signs and braces, nothing at all."""
    loaded = load_config(
        write(TRAINING),
        [
            "TEST.METRICS=[RMSE, Pearson]",
            "TRAIN.PLOT_LOSSES_AND_LR=false",
            "TRAIN.LR=1e-3",
            "TRAIN.EPOCHS=3",
            "TRAIN.MODEL_FILE_NAME=2024",
            "LOG.PATH=a=b",
            "MODEL.MODEL_DIR={x",
            "VALID.DATA.EXP_DATA_NAME=",
            "VALID.DATA.DATASET=null",
            "TEST.DATA={FS: 25, END: 0.5}",
            "INFERENCE.HR_BAND=[0.7, 3]",
        ],
    )
    assert loaded.TEST.METRICS == ["RMSE", "Pearson"]
    assert loaded.TRAIN.PLOT_LOSSES_AND_LR is False
    assert (loaded.TRAIN.LR, loaded.TRAIN.EPOCHS, loaded.TRAIN.MODEL_FILE_NAME) == (1e-3, 3, "2024")
    assert loaded.LOG.PATH == "a=b" and loaded.MODEL.MODEL_DIR.endswith("{x")
    assert loaded.VALID.DATA.EXP_DATA_NAME == "" and loaded.VALID.DATA.DATASET is None
    assert (loaded.TEST.DATA.FS, loaded.TEST.DATA.END, loaded.TEST.DATA.DATASET) == (25, 0.5, "UBFC-rPPG")
    assert loaded.INFERENCE.HR_BAND == [0.7, 3]


def test_an_error_in_an_override_names_the_command_line(write):
    """Not the file, which is right."""
    assert refusal(write(TRAINING), "TRAIN.EPOCHS=0").startswith("command line: TRAIN.EPOCHS is 0")
    assert refusal(write(TRAINING), "TRAIN.EPOCH=3").startswith("command line: unknown key TRAIN.EPOCH.")


# --- Options of methods and data sets ------------------------------------------------------------------------------


@pytest.fixture
def entries(monkeypatch):
    """A registered method and a data set with options, forgotten after the test."""
    method = type("Mine", (), {"OPTIONS": {"MINE": {"DEPTH": 3, "DEEP": {"ER": 0.5}}, "SHARED": 1}})
    data_set = type("Own", (BaseLoader,), {"OPTIONS": {"OWN": {"PRESET": None, "SIZE": 4}}, "generated": True})
    for registry, name, entry in ((config.METHODS, "Mine", method), (config.DATASETS, "Own", data_set)):
        registry.names()
        monkeypatch.setitem(registry._entries, name, (name, entry))


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


def test_a_classical_run_knows_the_own_keys_of_a_method_in_the_file(entries, write):
    """A training file with another mode on the command line still loads."""
    values = changed(CLASSICAL, MODEL={"NAME": "Mine", "MINE": {"DEPTH": 5}})
    assert load_config(write(values)).MODEL.MINE.DEPTH == 5


def test_options_of_rppg_toolbox_methods_have_the_defaults_declared_here():
    """They are declared twice, once beside each method; both must say the same."""
    declared = config.model_section()
    for name in config.METHODS:
        for key, value in getattr(config.METHODS[name], "OPTIONS", {}).items():
            if key in declared:
                same = {k: v for k, v in value.items() if k in declared[key]} if isinstance(value, dict) else value
                kept = {k: declared[key][k] for k in same} if isinstance(value, dict) else declared[key]
                assert same == kept, f"{name}: MODEL.{key}"


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
    monkeypatch.setattr(config, "ROOT", ROOT / "tests")
    assert config.local_file() is None


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
        ("TOOLBOX_MODE", "only_train", "Did you mean 'only_test'? Known: train_and_test, only_test"),
        ("SEED", -1, "must be at least 0"),
        ("PREPROCESS_WORKERS", 0, "must be 1 or more, or -1"),
        ("PREPROCESS_WORKERS", -2, "must be 1 or more, or -1"),
        ("SHARD", "9/8", "must be i/n with i from 1 to n, such as 3/8"),
        ("DASK", "node1:8786", "such as tcp://node1:8786"),
        ("DEVICE", "gpu", "must be auto, cpu, mps, cuda or cuda:<number>"),
        ("TRAIN__DATA__DATASET", "UBFC-RPPG", "Did you mean 'UBFC-rPPG'?"),
        ("TRAIN__DATA__DATASET", "", "is not set. Known: "),
        ("TRAIN__DATA__FS", -1, "must be at least 0"),
        ("TRAIN__DATA__FS", float("nan"), "must be at least 0"),
        ("TRAIN__DATA__DATA_FORMAT", "NHWC", "Known: NDCHW, NCDHW, NDHWC"),
        ("TRAIN__DATA__BEGIN", -0.1, "must lie in [0, 1)"),
        ("TRAIN__DATA__BEGIN", 1.0, "must lie in [0, 1)"),
        ("TRAIN__DATA__BEGIN", 0.8, "must be below TRAIN.DATA.END, which is 0.8"),
        ("TRAIN__DATA__END", 1.5, "must lie in (0, 1]"),
        ("TRAIN__DATA__END", 0.0, "must lie in (0, 1]"),
        ("TRAIN__DATA__PREPROCESS__DATA_TYPE", ["Diffnormalized"], "Did you mean 'DiffNormalized'?"),
        ("TRAIN__DATA__PREPROCESS__LABEL_TYPE", "raw", "is 'raw'. Did you mean 'Raw'? Known: '', Raw"),
        ("TRAIN__DATA__PREPROCESS__CHUNK_LENGTH", 0, "must be at least 1"),
        ("TRAIN__DATA__PREPROCESS__RESIZE__W", 0, "must be at least 1"),
        (
            "TRAIN__DATA__PREPROCESS__CROP_FACE__BACKEND",
            "HCC",
            "is 'HCC'. Did you mean 'HC'? Known: ",
        ),
        ("TRAIN__DATA__PREPROCESS__CROP_FACE__LARGE_BOX_COEF", 0, "must be above 0"),
        ("TRAIN__DATA__FILE_LIST_PATH", "lists.txt", "neither a folder nor a .csv file"),
        ("TRAIN__BATCH_SIZE", 0, "must be at least 1"),
        ("TRAIN__LR", 0.0, "must be above 0"),
        ("TRAIN__LR", float("inf"), "must be above 0"),
        ("TRAIN__AMP", "fp8", "Known: '', bf16, fp16"),
        ("TRAIN__EMA", 1.0, "must lie in [0, 1)"),
        ("TEST__METRICS", ["MEA"], "holds 'MEA'. Did you mean 'MAE'?"),
        ("MODEL__NAME", "TSCAN_", "Did you mean 'Tscan'?"),
        ("MODEL__NAME", "", "is not set. Known: "),
        ("INFERENCE__EVALUATION_METHOD", "fft", "Did you mean 'FFT'? Known: FFT, peak detection."),
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
    ],
)
def test_settings_that_run_but_cannot_be_meant_are_warned_of(write, values, wanted):
    """They stay as rPPG-Toolbox has them."""
    warnings = read(write(values)).warnings
    assert len(warnings) == 1 and wanted in warnings[0]


def test_sound_settings_are_not_warned_of(write):
    """Silence means something."""
    assert [read(write(values)).warnings for values in (TRAINING, CLASSICAL, TESTING)] == [[], [], []]


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
    assert load_config(file, ["TOOLBOX_MODE=preprocess"]).TOOLBOX_MODE == "preprocess"
