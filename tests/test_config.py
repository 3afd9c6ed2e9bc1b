"""The configuration: what wins, what is converted, and which files it comes from."""

import pytest
from yacs.config import CfgNode

import config
from config import load_config, read
from settings.loaded import value_of
from settings.merging import merge
from tests.config_tools import CLASSICAL, TRAINING, changed, refusal, write_yaml
from tests.conftest import ROOT


@pytest.fixture
def write(tmp_path):
    """Write a mapping (or plain text) as a YAML file below tmp_path; its path."""
    return lambda values, name="x.yaml": write_yaml(values, tmp_path / name)


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
        ("VALID__DATA__DATASET", "None", ""),
        ("TRAIN__PLOT_LOSSES_AND_LR", "False", False),
        ("LOG__PATH", None, ""),
    ],
)
def test_values_are_decoded_as_yacs_does_and_a_little_more(write, key, value, expected):
    """Texts that are Python literals become them; harmless conversions of type are made."""
    log = config.schema()
    loaded = config.Loaded(log, file="x")
    merge(loaded, log, changed({}, **{key: value}), "x.yaml")
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
        ("TEST__METRICS", "MAE", "must be a list, such as ['MAE']"),
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


@pytest.mark.parametrize(
    ("override", "full"),
    [
        ("CROP_FACE.NO_FACE=full_frame", "UNSUPERVISED.DATA.PREPROCESS.CROP_FACE.NO_FACE"),
        ("NO_FACE=full_frame", "UNSUPERVISED.DATA.PREPROCESS.CROP_FACE.NO_FACE"),
        ("UNSUPERVISED.NO_FACE=full_frame", "UNSUPERVISED.DATA.PREPROCESS.CROP_FACE.NO_FACE"),
        ("PREPROCESS.CROP_FACE={NO_FACE: full_frame}", "UNSUPERVISED.DATA.PREPROCESS.CROP_FACE.NO_FACE"),
        ("METHOD=[GREEN]", "UNSUPERVISED.METHOD"),
    ],
)
def test_a_short_key_means_the_only_one_of_the_run_that_ends_so(write, override, full):
    """TRAIN, VALID and TEST have it, too, but classical methods do not read them; the log says what it stands for."""
    loaded = read(write(CLASSICAL), [override])
    assert value_of(loaded.config, full) in ("full_frame", ["GREEN"])
    assert any(line.endswith(f"stands for {full}.") for line in loaded.log)


def test_a_short_key_works_in_a_file_and_yields_to_the_command_line(write):
    """The order of what wins stays."""
    path = write({**CLASSICAL, "CROP_FACE": {"NO_FACE": "full_frame", "LARGE_BOX_COEF": 2.0}})
    full = "UNSUPERVISED.DATA.PREPROCESS.CROP_FACE.NO_FACE"
    assert value_of(load_config(path), full) == "full_frame"
    crop = load_config(path, [f"{full}=search"]).UNSUPERVISED.DATA.PREPROCESS.CROP_FACE
    assert (crop.NO_FACE, crop.LARGE_BOX_COEF) == ("search", 2.0)


def test_a_short_data_set_brings_its_own_keys(write):
    """Also when they are short themselves."""
    loaded = load_config(write(CLASSICAL), ["DATASET=Synthetic", "SYNTHETIC.SUBJECTS=3"])
    assert (loaded.UNSUPERVISED.DATA.DATASET, loaded.UNSUPERVISED.DATA.SYNTHETIC.SUBJECTS) == ("Synthetic", 3)


def test_a_short_key_of_several_sections_names_them(write):
    """Which of them was meant cannot be guessed."""
    message = refusal(write(TRAINING), "CROP_FACE.NO_FACE=full_frame")
    assert "CROP_FACE.NO_FACE may be TRAIN.DATA.PREPROCESS.CROP_FACE.NO_FACE or " in message
    assert "TEST.DATA.PREPROCESS.CROP_FACE.NO_FACE" in message and "UNSUPERVISED" not in message


def test_a_key_of_another_mode_stays_unknown(write):
    """It would have no effect."""
    assert "unknown key EPOCHS." in refusal(write(CLASSICAL), "EPOCHS=3")


def test_a_key_set_twice_in_one_file_is_refused(write):
    """In full and by its short name."""
    assert "METHOD is set twice" in refusal(write({**CLASSICAL, "METHOD": ["POS"]}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('UNSUPERVISED:\n  DATA:\n    DATA_PATH: "E:\\new\\train"\n', "with a line break in it: .* 'E:/new/train'"),
        ('UNSUPERVISED:\n  DATA:\n    DATA_PATH: "E:\\data"\n', "line 3: .*single quotes, or with /"),
        ("UNSUPERVISED:\n\tDATA:\n", "line 2: .*The line has a tab: YAML indents with spaces"),
        ("UNSUPERVISED:\n  METHOD: POS\n", r"must be a list, such as \['POS'\]"),
        ("UNSUPERVISED: {DATA: {PREPROCESS: {CROP_FACE: {BACKEND: RF}}}}\n", "RetinaFace, is not here: CF and Y5F"),
        ("# \u6570\u636e\n".encode("gbk"), "It may be GBK: save it as UTF-8"),
        ("A: 1\n".encode("utf-16"), "It looks like UTF-16: save it as UTF-8"),
    ],
)
def test_slips_of_the_pen_are_explained(tmp_path, text, said):
    """What a text editor or a Windows path does to a file."""
    path = tmp_path / "x.yaml"
    head = "BASE: [base.yaml]\n"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    write_yaml(CLASSICAL, tmp_path / "base.yaml")
    if isinstance(text, str) and "\t" not in text:
        path.write_text(head + text)
        said = said.replace("line 3", "line 4")
    with pytest.raises(config.ConfigError, match=said):
        load_config(path)


def test_the_frame_size_may_stand_one_level_too_high(write):
    """PREPROCESS.H is RESIZE.H."""
    loaded = load_config(write(changed(CLASSICAL, UNSUPERVISED__DATA__PREPROCESS={"H": 36, "W": 40})))
    size = loaded.UNSUPERVISED.DATA.PREPROCESS.RESIZE
    assert (size.W, size.H) == (40, 36)


@pytest.mark.parametrize("name", ["#1", "on", "[x]", "1e3"])
def test_a_text_is_what_was_written(write, name):
    """A comment, a switch, a list or a number to YAML; a name where a name is wanted."""
    assert (
        load_config(write(CLASSICAL), [f"UNSUPERVISED.DATA.FOLD.FOLD_NAME={name}"]).UNSUPERVISED.DATA.FOLD.FOLD_NAME
        == name
    )


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
    assert loaded.VALID.DATA.EXP_DATA_NAME == "" and loaded.VALID.DATA.DATASET == ""
    assert (loaded.TEST.DATA.FS, loaded.TEST.DATA.END, loaded.TEST.DATA.DATASET) == (25, 0.5, "UBFC-rPPG")
    assert loaded.INFERENCE.HR_BAND == [0.7, 3]


def test_an_error_in_an_override_names_the_command_line(write):
    """Not the file, which is right."""
    assert refusal(write(TRAINING), "TRAIN.EPOCHS=0").startswith("command line: TRAIN.EPOCHS is 0")
    assert refusal(write(TRAINING), "TRAIN.EPOCH=3").startswith("command line: unknown key TRAIN.EPOCH.")
