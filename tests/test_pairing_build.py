"""What stands beside the code: make targets, containers, stages, curves that go elsewhere."""

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml

from neural_methods import tracking
from neural_methods.history import History
from tests.conftest import ROOT

TARGETS = (
    "create_environment", "requirements", "dev_requirements", "requirements_gpu_cu118", "requirements_gpu_cu121",
    "data", "train", "predict", "verify_model", "test", "clean", "docker_build_train", "docker_run_train",
    "docker_build_predict", "docker_run_predict", "build_documentation", "serve_documentation", "help", "demo",
)  # fmt: skip
DOCKERFILES = sorted((ROOT / "dockerfiles").glob("*.dockerfile"))


def make(*arguments):
    """What make says, and its exit code; of a dry run nothing is done."""
    done = subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_make_alone_prints_help():
    """Every target that is written down, with a word about it."""
    code, said = make()
    assert code == 0 and all(re.search(rf"^  {one}\s+\w", said, re.M) for one in TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_there(target):
    """As far as a dry run goes."""
    code, said = make("-n", target, "VIDEO1=a", "VIDEO2=b", "HR=70", "VIDEOS=v")
    assert code == 0, said


def test_a_cuda_whose_torch_is_too_old_is_refused():
    """In a sentence that names the last build; one that still fits asks for its index."""
    code, said = make("requirements_gpu_cu121")
    assert code != 0 and "The last torch for CUDA 12.1 is 2.5.1" in said and "2.6" in said
    code, said = make("requirements_gpu_cu118")
    assert code != 0 and "INDEX=" in said and "The last torch" not in said


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_an_image_runs_as_nobody_special_on_data_from_outside(path):
    """Instructions that docker knows, files that are there, a program that is there, a user who is not root."""
    text = re.sub(r"\\\n\s*", " ", path.read_text())
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    words = [one for one, _ in lines]
    assert words[0] == "FROM" and set(words) <= {
        "FROM", "RUN", "WORKDIR", "ARG", "COPY", "ENV", "USER", "VOLUME", "ENTRYPOINT",
    }  # fmt: skip
    steps = dict(lines)
    assert steps["USER"] not in ("root", "0") and "-m" in steps["ENTRYPOINT"] and "cuda" not in steps["FROM"]
    (module,) = re.findall(r'"(tools\.[\w.]+)"', steps["ENTRYPOINT"])
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
    for copied in (one.split()[:-1] for word, one in lines if word == "COPY"):
        assert all((ROOT / name).exists() for name in copied)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {"data", "models", ".git", ".venv", ".env"} <= set(ignored)


def test_compose_and_stages_name_what_is_there():
    """Both files are YAML; images, commands, dependencies and outputs fit together."""
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    for one in services.values():
        assert (ROOT / one["build"]["dockerfile"]).is_file()
        assert all(":" in volume for volume in one["volumes"])
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert list(stages) == ["data", "train", "evaluate"]
    made = {name for one in stages.values() for part in one.get("outs", []) + one.get("metrics", [])
            for name in ([part] if isinstance(part, str) else part)}  # fmt: skip
    for one in stages.values():
        assert (ROOT / f"{one['cmd'].split()[2].replace('.', '/')}.py").is_file()
        assert all(name in made or (ROOT / name).exists() for name in one["deps"])


# --- Curves ---------------------------------------------------------------------------------------------------------


class FakeRun:
    """A run of Weights & Biases that notes what it is told."""

    def __init__(self):
        """Nothing yet."""
        self.points, self.finished = [], False

    def log(self, values, step):
        """Note."""
        self.points.append((step, values))

    def finish(self):
        """Note."""
        self.finished = True


@pytest.fixture
def wandb(monkeypatch):
    """A package wandb whose `init` notes its arguments."""
    found = SimpleNamespace(run=FakeRun(), asked={})
    module = SimpleNamespace(init=lambda **asked: (found.asked.update(asked), found.run)[1],
                             Settings=lambda **known: known)  # fmt: skip
    monkeypatch.setitem(sys.modules, "wandb", module)
    return found


def course(folder, mode):
    """A history of two updates."""
    history = History(folder, mode)
    history.open()
    for update in range(2):
        history.add({"epoch": 0, "update": update, "samples": 4, "loss": 0.5, "lr": 1e-3, "seconds": 0.1})
    history.note({"validation": 0.25})
    history.close()


def test_offline_curves_go_to_both(tmp_path, wandb):
    """A point per update, the validation, and the end; TensorBoard has its file, the CSV its rows."""
    course(tmp_path / "run", "offline")
    assert wandb.asked["mode"] == "offline" and wandb.asked["dir"] == str(tmp_path / "run")
    assert [step for step, _ in wandb.run.points] == [1, 2, 2] and wandb.run.finished
    assert wandb.run.points[0][1]["train/loss"] == 0.5 and wandb.run.points[2][1] == {"validation": 0.25}
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 3


def test_without_the_package_a_training_goes_on(tmp_path, monkeypatch, capsys):
    """It is said, and history.csv is whole."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    course(tmp_path, "offline")
    assert "wandb is not installed" in capsys.readouterr().out
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 3


def test_online_without_a_key_is_not_tried(tmp_path, monkeypatch, capsys, wandb):
    """No question is asked, nobody waits."""
    monkeypatch.delenv(tracking.SECRET, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    course(tmp_path / "run", "online")
    assert f"there is no {tracking.SECRET}" in capsys.readouterr().out and wandb.asked == {}


def test_a_key_is_found_in_a_file(tmp_path, monkeypatch):
    """In `.env`, as others write it; what stands in the environment wins."""
    monkeypatch.setattr("os.environ", dict(PATH=""))
    (tmp_path / ".env").write_text("# mine\nOTHER=1\nWANDB_API_KEY='abc'\n")
    assert tracking.read_secret(tmp_path / ".env") and tracking.os.environ[tracking.SECRET] == "abc"
    assert not tracking.read_secret(tmp_path / "gone") or tracking.os.environ[tracking.SECRET] == "abc"


def test_a_board_that_fails_costs_no_training(tmp_path, monkeypatch, capsys):
    """Whatever Weights & Biases raises at its start."""

    def broken(**asked):
        raise RuntimeError("no server")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=broken, Settings=lambda **known: known))
    course(tmp_path, "offline")
    assert "could not begin" in capsys.readouterr().out
