"""Weights of one method in another: for every pair one readable sentence that names both, with and without sidecar."""

import itertools

import pytest
import torch
from yacs.config import CfgNode

from config import load_config
from neural_methods.checkpoint import WeightsError, load_weights, write_weights
from neural_methods.trainer.base import other_networks
from registry import METHODS
from tests.conftest import ROOT, few
from tests.toy_training import method_config

LARGE = {"MoCoV3", "SimSiam"}  # 400 MB as published; others of their family are tried
FROM_FILES = {"TokenEncoder", "Finetune", "PlainRidge"}  # what they are stands in a teacher's file, or in the data's
NAMES = [  # the networks of the thesis on pairs are tied to clips that are larger than these
    name
    for name in METHODS.names()
    if METHODS[name].__module__.startswith("neural_methods.")
    and not name.startswith("legacy_")
    and name not in FROM_FILES | LARGE
]
INTO = few(NAMES, "Physnet", "Tscan")  # each is tried with the weights of all
SIZES = {"FactorizePhys": 72, "iBVPNet": 64, "BigSmall": 48, "PhysFormer": 32, "RhythmFormer": 32}
SHARED = ({"DeepPhys", "Tscan"},)  # the same layers: only the sidecar tells their weights apart


def trainer(name, folder, size=None, **changes):
    """A trainer of `name` on small frames; all methods' own options are declared, as in a resolved configuration."""
    for other in (name, *NAMES):  # its own first: methods of a family share a section
        for section, values in METHODS[other].OPTIONS.items():
            changes.setdefault(f"MODEL__{section}", CfgNode(values))
    for part in ("TRAIN", "TEST"):
        changes[f"{part}__DATA__PREPROCESS__BIGSMALL"] = CfgNode(
            {
                "BIG_DATA_TYPE": ["Standardized"],
                "SMALL_DATA_TYPE": ["DiffNormalized"],
                "RESIZE": {"BIG_H": 48, "BIG_W": 48, "SMALL_H": 3, "SMALL_W": 3},
            }
        )
    return METHODS[name](method_config(name, folder, size or SIZES.get(name, 24), **changes))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Fresh weights of every method, with their sidecars."""
    folder = tmp_path_factory.mktemp("weights")
    for name in NAMES:
        writer = trainer(name, folder)
        write_weights(folder / f"{name}.pth", writer.build(), writer.description(), writer.prefix_module)
    return folder


def refusal(loader, path, candidates=None) -> str:
    """The message of a load that must fail; `candidates` as the trainer finds them, found once for many loads."""
    with pytest.raises(WeightsError) as error:
        if candidates is None:
            loader.load(path)
        else:
            load_weights(loader.build(), path, loader.name, loader.description(), loader.ignored_weights, candidates)
    return str(error.value)


def is_readable(message: str) -> bool:
    """One line, no page of keys."""
    return "\n" not in message and len(message) < 700


@pytest.mark.parametrize("into", INTO)
def test_weights_with_a_sidecar_are_refused_by_every_other_method(files, tmp_path, into):
    """Both names, and the key to change."""
    loader = trainer(into, tmp_path)
    for name in NAMES:
        if name == into:
            loader.load(files / f"{name}.pth")
            continue
        message = refusal(loader, files / f"{name}.pth")
        assert f"weights of {name}" in message and f"is {into}" in message and is_readable(message), message
        assert f"set MODEL.NAME: {name}" in message


@pytest.mark.parametrize("into", INTO)
def test_bare_weights_are_refused_by_every_other_method(files, tmp_path, into):
    """As rPPG-Toolbox releases them: the owner is found by names and shapes. Where layers are shared, they load."""
    config = demo(into)
    loader = METHODS[into](config) if config is not None else trainer(into, tmp_path)
    candidates = other_networks(loader.config)
    assert set(NAMES) <= set(candidates), "a user's configuration declares one method's options only"
    for name in NAMES:
        bare = tmp_path / f"{name}.pth"
        bare.hardlink_to(files / f"{name}.pth")
        if name == into or {name, into} in SHARED:
            continue
        message = refusal(loader, bare, lambda: candidates)
        assert f"does not fit {into}" in message and is_readable(message), message
        assert name in message.partition("it holds weights of ")[2].partition(";")[0], message


def demo(name):
    """A method's demo, as a user's configuration; None for those that have commands of their own."""
    files = sorted((ROOT / "configs").glob("demo/*.yaml")) + sorted((ROOT / "configs" / "bp").glob("KAILUAN_*.yaml"))
    files += [path for path in sorted((ROOT / "configs" / "cmssl").glob("*.yaml")) if "  NAME: " in path.read_text()]
    files += sorted((ROOT / "configs" / "multimodal").glob("fusion.yaml"))
    loaded = (load_config(file) for file in files)
    return next((config for config in loaded if config.MODEL.NAME == name), None)


def test_a_bare_file_of_shared_layers_loads(files, tmp_path):
    """DeepPhys and TS-CAN have the same layers; without a sidecar nothing can tell their weights apart."""
    for name, into in (("Tscan", "DeepPhys"), ("DeepPhys", "Tscan")):
        (tmp_path / "bare.pth").write_bytes((files / f"{name}.pth").read_bytes())
        trainer(into, tmp_path).load(tmp_path / "bare.pth")


@pytest.mark.parametrize("section", few(["SE", "DEFORM"], "SE"))
def test_weights_with_an_option_of_their_network_are_known(tmp_path, section):
    """Entries that an option adds or removes do not hide whose the others are."""
    options = {**METHODS["Physnet"].OPTIONS[section], "ENABLE": True}
    extended = trainer("Physnet", tmp_path, **{f"MODEL__{section}": CfgNode(options)}).build()
    torch.save(extended.state_dict(), tmp_path / "a.pth")
    assert "weights of Physnet;" in refusal(METHODS["Tscan"](demo("Tscan")), tmp_path / "a.pth")
    released = trainer("FactorizePhys", tmp_path)
    released.options.FactorizePhys.MD_FSAM = True
    torch.save(released.build().state_dict(), tmp_path / "b.pth")
    assert "weights of FactorizePhys;" in refusal(METHODS["Tscan"](demo("Tscan")), tmp_path / "b.pth")


@pytest.mark.parametrize(
    ("name", "section"), [("Tscan", "TSCAN"), ("EfficientPhys", "EFFICIENTPHYS"), ("MTTSCAN", "MTTSCAN")]
)
def test_another_frame_depth_is_refused_where_the_sidecar_knows_it(files, tmp_path, name, section):
    """The shapes are the same, the network is not."""
    options = {**METHODS[name].OPTIONS[section], "FRAME_DEPTH": 8}
    message = refusal(trainer(name, tmp_path, **{f"MODEL__{section}": CfgNode(options)}), files / f"{name}.pth")
    assert "FRAME_DEPTH" in message and name in message and is_readable(message)


@pytest.mark.parametrize("name", few(["Tscan", "DeepPhys", "EfficientPhys", "MTTSCAN"], "Tscan"))
def test_another_frame_size_is_refused_with_and_without_sidecar(files, tmp_path, name):
    """Dense layers know the size; so does the sidecar."""
    loader = trainer(name, tmp_path, size=36)
    assert "size [24, 24] instead of [36, 36]" in refusal(loader, files / f"{name}.pth")
    bare = tmp_path / "bare.pth"
    bare.write_bytes((files / f"{name}.pth").read_bytes())
    message = refusal(loader, bare)
    assert f"does not fit {name}" in message and "shape" in message and "RESIZE" in message and is_readable(message)


def test_no_two_methods_share_weights_but_the_known_ones(files):
    """So that a bare file has one owner."""
    states = {name: torch.load(files / f"{name}.pth", weights_only=True) for name in NAMES}
    shapes = {
        name: {key.removeprefix("module."): value.shape for key, value in state.items()}
        for name, state in states.items()
    }
    same = [{a, b} for a, b in itertools.combinations(NAMES, 2) if shapes[a] == shapes[b]]
    assert same == list(SHARED)
