"""The command line: flags become keys, modes run their function, errors are one message with the right exit code."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
import yaml

import config
import main
from registry import MODES

ROOT = Path(__file__).resolve().parent.parent
CLASSICAL = {
    "TOOLBOX_MODE": "unsupervised_method",
    "UNSUPERVISED": {"METHOD": ["POS"], "METRICS": ["MAE"], "DATA": {"DATASET": "PURE", "FS": 30}},
}
TESTING = {
    "TOOLBOX_MODE": "only_test",
    "TEST": {"DATA": {"DATASET": "PURE", "FS": 30, "BEGIN": 0.5}},
    "MODEL": {"NAME": "Physnet"},
    "INFERENCE": {"MODEL_PATH": "w.pth"},
}


@pytest.fixture
def x(tmp_path) -> Path:
    """A small classical configuration."""
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(CLASSICAL))
    return path


@pytest.fixture
def ran(monkeypatch, tmp_path) -> list:
    """The configurations the modes' functions were called with; what `act` says happens in them."""
    monkeypatch.chdir(tmp_path)
    calls = []
    module = types.ModuleType("made_run")
    calls_act = {"act": lambda: None}

    def run(settings):
        calls.append(settings)
        return calls_act["act"]()

    module.run = run
    monkeypatch.setitem(sys.modules, "made_run", module)
    for name in MODES:
        made = dataclasses.replace(MODES[name], run="made_run:run")
        monkeypatch.setitem(MODES._entries, name, (name, made))
    monkeypatch.setattr(main, "ACT", calls_act, raising=False)
    return calls


def acting(error):
    """Make the run raise or return something."""

    def act():
        if isinstance(error, BaseException):
            raise error
        return error

    main.ACT["act"] = act


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
    assert sorted(file.name for file in folder.iterdir()) == ["config.yaml", "environment.json"]


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
        (["--live"], "unrecognized arguments: --live"),
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
    assert len(text.splitlines()) < 60 and "examples:" in text and "Exit codes" in text
    assert not any(flag in text for flag in ("--live", "--replay"))


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


def test_video_runs_the_classical_methods_on_it(tmp_path, ran):
    """Without a configuration."""
    video = tmp_path / "me.mp4"
    video.touch()
    assert main.main(["--video", str(video)]) == 0
    data = ran[0].UNSUPERVISED.DATA
    assert (data.DATASET, data.DATA_PATH) == (main.OWN_VIDEOS, str(video))


def test_video_replaces_the_data_of_a_test(tmp_path, ran):
    """All of the video, whatever the file splits."""
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(TESTING))
    assert main.main(["--video", str(tmp_path), "--config_file", str(path)]) == 0
    data = ran[0].TEST.DATA
    assert (data.DATASET, data.DATA_PATH, data.BEGIN, data.FS) == (main.OWN_VIDEOS, str(tmp_path), 0.0, 0)


def made(folder: Path, *names: str) -> list[str]:
    """Empty files of these names in `folder`; their paths."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return [str(path) for path in paths]


@pytest.mark.parametrize("again", [[], ["--video"]])
def test_several_videos_and_folders_are_one_run(tmp_path, ran, again):
    """As a shell makes them of *.mp4, with settings behind, or one --video each; one named twice is one."""
    a, b, _ = made(tmp_path, "1/a.mp4", "2/b.mp4", "3/c/d.mp4")
    videos = [a, *again, b, str(tmp_path / "3"), b]
    assert main.main(["--video", *videos, "RESIZE.W=36"]) == 0
    data = ran[0].UNSUPERVISED.DATA
    assert (data.DATA_PATH, data.VIDEOS, data.PREPROCESS.RESIZE.W) == (str(tmp_path), ["1/a.mp4", "2/b.mp4", "3"], 36)
    found = main.DATASETS["Folder"]({"VIDEOS": data.VIDEOS}).recordings(tmp_path)
    assert [recording.id for recording in found] == ["1_a", "2_b", "3_c_d"]


def test_settings_alone_are_no_videos(ran, capsys):
    """A glob that matched nothing leaves --video with the settings behind it."""
    with pytest.raises(SystemExit):
        main.main(["--video", "SEED=3"])
    assert "name at least one file or folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["#1.mp4", "on", "[x]", "null", "None", "~", "a b: c.mp4", "'q'", "{x}", "1e3", "a=b.mp4"]
)
def test_a_video_may_have_any_name(tmp_path, ran, monkeypatch, name):
    """It is no YAML."""
    monkeypatch.chdir(tmp_path)
    made(tmp_path, name, "other.mp4")
    assert main.main(["--video", name]) == 0
    assert ran[0].UNSUPERVISED.DATA.DATA_PATH == name
    assert main.main(["--video", name, "other.mp4"]) == 0
    assert ran[1].UNSUPERVISED.DATA.VIDEOS == [name, "other.mp4"]


def test_what_is_written_after_video_wins_over_it(tmp_path, ran):
    """Its FS, its list, its part of the recordings."""
    (video,) = made(tmp_path, "me.mp4")
    listed = tmp_path / "list.csv"
    assert main.main(["--video", video, "FS=25", f"FILE_LIST_PATH={listed}", "END=0.5"]) == 0
    data = ran[0].UNSUPERVISED.DATA
    assert (data.FS, data.FILE_LIST_PATH, data.END) == (25, str(listed), 0.5)


def test_video_cannot_train_and_must_exist(x, ran, capsys):
    """Both said before anything starts."""
    assert main.main(["--video", "nothing.mp4"]) == 1
    assert "--video nothing.mp4: no such file or folder." in capsys.readouterr().err
    train = ["TOOLBOX_MODE=train_and_test", "TRAIN.DATA.DATASET=PURE", "TEST.DATA.DATASET=PURE", "MODEL.NAME=Tscan"]
    assert main.main(["--video", str(x), "--config_file", str(x), *train]) == 1
    assert "it cannot train" in capsys.readouterr().err


@pytest.fixture
def written(monkeypatch) -> list:
    """What the writer of layouts was asked for."""
    calls = []
    module = types.ModuleType("dataset.synthetic.layouts")
    module.write_layout = lambda name, root, settings: calls.append((name, Path(root), settings))
    monkeypatch.setitem(sys.modules, "dataset.synthetic.layouts", module)
    return calls


def test_synthesize_fills_missing_folders(x, ran, written, tmp_path):
    """And completes what an interrupted call left."""
    new = tmp_path / "new"
    arguments = ["--synthesize", "--config_file", str(x), f"UNSUPERVISED.DATA.DATA_PATH={new}"]
    for _ in range(2):
        assert main.main([*arguments, "UNSUPERVISED.DATA.SYNTHETIC.SUBJECTS=2"]) == 0
        (new / "01-01").mkdir(exist_ok=True)
    assert [call[:2] for call in written] == [("PURE", new)] * 2
    assert written[0][2] == {"PRESET": "standard", "SUBJECTS": 2}


def test_synthesize_never_mixes_files(x, ran, written, tmp_path, capsys):
    """Neither with somebody's data nor with those of other settings."""
    new, full = tmp_path / "new", tmp_path / "full"
    (full / "01-01").mkdir(parents=True)
    arguments = ["--synthesize", "--config_file", str(x)]
    assert main.main([*arguments, f"UNSUPERVISED.DATA.DATA_PATH={full}"]) == 1
    assert "holds files of yours" in capsys.readouterr().err
    assert main.main([*arguments, f"UNSUPERVISED.DATA.DATA_PATH={new}"]) == 0
    seed = "UNSUPERVISED.DATA.SYNTHETIC.SEED=7"
    assert main.main([*arguments, f"UNSUPERVISED.DATA.DATA_PATH={new}", seed]) == 1
    assert "was made with other settings" in capsys.readouterr().err
    assert len(written) == 1
    assert main.main(arguments) == 1
    assert "UNSUPERVISED.DATA.DATA_PATH=FOLDER" in capsys.readouterr().err


def test_synthesize_leaves_a_data_set_that_renders_itself_alone(ran, written):
    """The demo needs no flag, and the flag does no harm."""
    assert main.main(["--synthesize"]) == 0
    assert written == [] and len(ran) == 2


def run_main(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """The real program in a new process."""
    command = [sys.executable, str(ROOT / "main.py"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_a_plugin_adds_a_method_without_touching_the_toolbox(tmp_path, x):
    """Its registration counts in that run."""
    (tmp_path / "plug_mine.py").write_text(
        "from registry import UNSUPERVISED\n\n"
        "@UNSUPERVISED.register('MINE')\ndef mine(rgb, fs):\n    return rgb[:, 1]\n"
    )
    arguments = ["--check", str(x), "UNSUPERVISED.METHOD=[MINE]"]
    assert run_main(*arguments).returncode == 1
    done = run_main("--plugin", str(tmp_path), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no such folder or .py file" in run_main("--plugin", "nowhere", "--list").stderr


def test_it_works_from_any_working_directory(tmp_path):
    """Files of the toolbox are found; BASE starts from the file that names it."""
    done = run_main("--check", str(ROOT / "configs" / "demo"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ctrl_c_exits_with_130(tmp_path, x):
    """No traceback, and the next start continues."""
    (tmp_path / "plug_wait.py").write_text("import time\nprint('waiting', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, str(ROOT / "main.py"), "--plugin", str(tmp_path / "plug_wait.py"), "--list"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    assert process.stdout.readline() == "waiting\n"
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [("--list",), ("--help",), ("--check", "configs/demo", "--debug")])
def test_it_ends_silently_when_its_reader_leaves(arguments):
    """`main.py --list | head` shows a beginning, not a broken pipe."""
    command = [sys.executable, "-u", str(ROOT / "main.py"), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    err = process.stderr.read()
    assert (process.wait(timeout=120), err) == (141, "")


def test_a_run_ends_silently_too_and_blames_no_recording(tmp_path, monkeypatch):
    """The error of the pipe is none of the data's: what catches damaged recordings must not catch it."""
    read, write = os.pipe()
    os.close(read)
    out = main.Printed(os.fdopen(write, "w"))
    with pytest.raises(main.ReaderGone):
        try:
            print("a line", file=out, flush=True)
        except Exception as error:
            pytest.fail(f"passed for {error!r}")
    with pytest.raises(main.ReaderGone):
        out.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


WITHOUT_TORCH = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Missing())
import main
sys.exit(main.main(["--list"]))
"""


def test_names_are_listed_without_torch():
    """Only the networks are left out, and it is said why."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Data sets (DATASET): BP4DPlus" in done.stdout and "Metrics (METRICS): MACC" in done.stdout
    assert "neural_methods.trainer.tscan is not available: package 'torch' is not installed" in done.stdout


LISTED = "import sys, main; main.main(['--list']); sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"


def test_a_list_of_names_imports_none_of_them():
    """Neither a network nor a library of signals is needed to say what they are called: half a second, not four."""
    done = subprocess.run([sys.executable, "-c", LISTED], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Neural methods (MODEL.NAME): BigSmall" in done.stdout
