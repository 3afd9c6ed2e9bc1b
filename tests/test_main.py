"""The command line: flags become keys, modes run their function, errors are one message with the right exit code."""

import json

import pytest
import yaml

import config
import main
from registry import MODES
from tests.main_tools import CLASSICAL, TESTING, acting, classical_file, modes_that_note

x = pytest.fixture(classical_file)
ran = pytest.fixture(modes_that_note)


def test_a_run_calls_the_function_of_its_mode(x, ran):
    """With the settings of file and command line."""
    assert main.main(["--config_file", str(x), "SEED=5", "--overwrite"]) == 0
    assert ran[0].SEED == 5 and ran[0].OVERWRITE and not ran[0].RESTART


def test_a_run_prints_what_differs_from_the_defaults(x, ran, capsys, monkeypatch):
    """With the place that says so; neither defaults, nor what this mode does not read, nor derived names."""
    monkeypatch.setenv("RPPG_CACHE", "cache")
    unread = ["TRAIN.LR=0.5", "TEST.DATA.DATASET=PURE", "MODEL.NAME=Tscan"]
    assert main.main(["--config_file", str(x), "SEED=5", "UNSUPERVISED.METRICS=[MAE]", *unread]) == 0
    out = capsys.readouterr().out
    assert out == (
        f"=> Merging a config file from {x}\n"
        "Configuration, where it differs from the defaults:\n"
        "  TOOLBOX_MODE = unsupervised_method  (x.yaml)\n"
        "  SEED = 5  (command line)\n"
        "  UNSUPERVISED.METHOD = ['POS']  (x.yaml)\n"
        "  UNSUPERVISED.METRICS = ['MAE']  (command line)\n"
        "  UNSUPERVISED.DATA.DATASET = PURE  (x.yaml)\n"
        "  UNSUPERVISED.DATA.CACHED_PATH = cache  (environment RPPG_CACHE)\n"
        "  UNSUPERVISED.DATA.FS = 30  (x.yaml)\n"
        f"All of it: {config.run_folder(ran[0])}/config.yaml (--show_config prints it)\n\n"
    )


def test_show_config_prints_all_of_it(x, ran, capsys):
    """As rPPG-Toolbox: `Configuration:`, every key, an empty line."""
    assert main.main(["--config_file", str(x), "--show_config"]) == 0
    out = capsys.readouterr().out
    assert f"=> Merging a config file from {x}\nConfiguration:\nALLOW_INCOMPLETE: False\n" in out
    assert f"OUTPUT_SAVE_DIR: {ran[0].UNSUPERVISED.OUTPUT_SAVE_DIR}\n" in out and out.endswith("\n\n")


@pytest.mark.parametrize("mode", ["unsupervised_method", "preprocess", "only_test"])
def test_every_run_leaves_its_settings_and_its_machine(tmp_path, ran, mode):
    """Before it starts, whatever the mode; what was left runs again."""
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump({**TESTING, **CLASSICAL, "TOOLBOX_MODE": mode}))
    acting(ValueError("the run fails at once"))
    assert main.main(["--config_file", str(path)]) == 1
    folder = config.run_folder(ran[0])
    assert config.load_config(folder / "config.yaml") == ran[0]
    left = json.loads((folder / "environment.json").read_text())
    assert {"python", "numpy", "opencv", "cores", "date"} <= set(left)
    assert [one["dataset"] for one in left["data"].values()] == ["PURE"] * len(left["data"]) and left["data"]
    assert sorted(file.name for file in folder.iterdir()) == ["config.yaml", "environment.json", "provenance.json"]


def test_helper_processes_write_no_settings(x, ran, monkeypatch, tmp_path):
    """One of several does."""
    monkeypatch.setenv("RANK", "1")
    assert main.main(["--config_file", str(x)]) == 0
    assert not list(tmp_path.rglob("config.yaml"))


@pytest.mark.parametrize("name", list(MODES))
def test_every_mode_has_a_function_that_exists(name):
    """The entries name real functions."""
    assert callable(MODES[name].function())


def test_the_flags_of_rppg_toolbox_do_what_they_say(x, ran):
    """It parses and ignores them."""
    flags = ["--preprocess", "--cached_path", "c", "--lr", "0.01", "--model_file_name", "12"]
    assert main.main(["SEED=1", "--config_file", str(x), *flags, "TRAIN.LR=0.5", "--restart"]) == 0
    (settings,) = ran
    assert all(settings[section].DATA.DO_PREPROCESS for section in config.SECTIONS)
    assert all(settings[section].DATA.CACHE_ROOT == "c" for section in config.SECTIONS)
    assert settings.TRAIN.MODEL_FILE_NAME == "12"
    assert settings.TRAIN.LR == 0.5, "a key that is written out wins over its flag"
    assert settings.RESTART and settings.SEED == 1


def test_without_a_file_the_demo_runs_and_says_so(ran, capsys):
    """The first thing a newcomer types does something useful."""
    assert main.main([]) == 0
    assert [one.UNSUPERVISED.DATA.SYNTHETIC.PRESET for one in ran] == ["easy", "standard"]
    said = capsys.readouterr().out
    assert said.index("people who sit still") < said.index("people who move")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("this is wrong"), 1, "Error: this is wrong\n"),
        (KeyError("Unknown metric 'MEA'."), 1, "Error: Unknown metric 'MEA'.\n"),
        (FileNotFoundError(2, "No such file or directory", "a.avi"), 1, "Error: a.avi: No such file or directory\n"),
        (OSError("disk on fire"), 1, "Error: disk on fire\n"),
        (KeyboardInterrupt(), 130, "the same command continues"),
        (AttributeError("a programming mistake"), 1, "Traceback"),
        (KeyError("key"), 1, "Traceback"),
    ],
)
def test_an_error_is_one_message_and_a_mistake_of_ours_a_traceback(x, ran, capsys, error, code, message):
    """The user reads what to mend; a bug shows where it is."""
    acting(error)
    assert main.main(["--config_file", str(x)]) == code
    err = capsys.readouterr().err
    assert message in err
    assert ("Traceback" in err) == (message == "Traceback")


def test_incomplete_data_exit_with_3(x, ran, capsys):
    """Errors say their exit code; run functions may return one."""

    class IncompleteError(RuntimeError):
        exit_code = 3

    acting(IncompleteError("2 of 8 recordings are missing."))
    assert main.main(["--config_file", str(x)]) == 3
    assert "Error: 2 of 8 recordings are missing." in capsys.readouterr().err
    acting(3)
    assert main.main(["--config_file", str(x)]) == 3


def test_debug_shows_the_traceback(x, ran, capsys):
    """For those who want to see it."""
    acting(ValueError("this is wrong"))
    assert main.main(["--config_file", str(x), "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_wrong_setting_is_one_message(x, capsys):
    """The message of the configuration, nothing around it."""
    assert main.main(["--config_file", str(x), "UNSUPERVISED.DATA.FSS=30"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Error: command line: unknown key UNSUPERVISED.DATA.FSS. Did you mean 'FS'?")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.yaml"], "'x.yaml' is not KEY=VALUE; did you mean --config_file x.yaml"),
        (["SEED"], "'SEED' is not KEY=VALUE"),
        (["--lr", "fast"], "invalid float value"),
        (["--replay"], "argument --replay: expected one argument"),
        (["--dask"], "--dask"),
        (["--config", "x.yaml"], "--config"),
    ],
)
def test_wrong_usage_exits_with_2(capsys, arguments, message):
    """Flags that are not built are not accepted, and abbreviations are none."""
    with pytest.raises(SystemExit) as stop:
        main.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_help_is_one_page_with_examples(capsys):
    """And names no flag that does not work."""
    with pytest.raises(SystemExit) as stop:
        main.main(["--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert len(text.splitlines()) < 72 and "examples:" in text and "Exit codes" in text


def test_list_shows_every_registry(capsys):
    """Names as a file must spell them."""
    assert main.main(["--list"]) == 0
    out = capsys.readouterr().out
    for name in ("PURE", "UBFC-rPPG", "Physnet", "Tscan", "POS", "MAE", "HC", "train_and_test"):
        assert name in out


def test_list_names_missing_packages(capsys, monkeypatch):
    """A method that is left out is not forgotten."""
    monkeypatch.setattr(main.METHODS, "absent", lambda: {"neural_methods.trainer.fast": "fast_scan"})
    main.main(["--list"])
    assert (
        "neural_methods.trainer.fast is not available: package 'fast_scan' is not installed" in capsys.readouterr().out
    )


def test_check_prints_a_line_each_and_counts(x, tmp_path, capsys):
    """Exit code 1 when any failed; nothing is run."""
    (tmp_path / "bad.yaml").write_text("TOOLBOX_MODE: training\n")
    (tmp_path / "worse file.yaml").write_text("A: [\n")
    assert main.main(["--check", str(x)]) == 0
    assert capsys.readouterr().out == f"passed  {x}\n1 passed, 0 failed\n"
    assert main.main(["--check", str(x), str(tmp_path / "bad.yaml"), str(tmp_path / "worse file.yaml")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"passed  {x}"
    assert lines[1].startswith(f"FAILED  {tmp_path}/bad.yaml: TOOLBOX_MODE is 'training'.")
    assert lines[2].startswith(f"FAILED  {tmp_path}/worse file.yaml: line 2:")
    assert lines[3:] == ["1 passed, 2 failed"]


def test_check_takes_folders_and_overrides(x, capsys):
    """The shell's pattern is not needed, and keys follow the files."""
    assert main.main(["--check", str(x.parent)]) == 0
    assert main.main(["--check", str(x), "SEED=-1"]) == 1
    assert f"FAILED  {x}: command line: SEED is '-1'" in capsys.readouterr().out.replace("is -1", "is '-1'")
    assert main.main(["--check", str(x.parent / "none")]) == 1


def test_check_of_an_empty_folder_fails(tmp_path, capsys):
    """Nothing checked is not everything right."""
    assert main.main(["--check", str(tmp_path)]) == 1
    assert capsys.readouterr().out == "0 passed, 0 failed\n"


def test_a_warning_is_printed_before_the_run(x, ran, capsys):
    """Where it can still be seen."""
    key = "UNSUPERVISED.DATA.PREPROCESS.CROP_FACE.DETECTION.USE_MEDIAN_FACE_BOX=True"
    main.main(["--config_file", str(x), key])
    assert "Warning: UNSUPERVISED.DATA.PREPROCESS" in capsys.readouterr().out


def test_only_one_of_several_processes_prints(x, ran, capsys, monkeypatch):
    """torchrun starts the same command many times."""
    monkeypatch.setenv("RANK", "1")
    main.main(["--config_file", str(x)])
    assert capsys.readouterr().out == ""
