"""YAML files of settings: plain types only, no key twice, and errors that name file and line."""

import math
from pathlib import Path
from typing import Any

import yaml

from registry import nearest
from settings.loaded import ConfigError

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 1 << 21  # bytes of a configuration file
MOST = 100_000  # values in it, aliases written out
LONGEST_NUMBER = 1024  # bits; Python does not even print numbers of some thousand digits


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML's plain types only; a key that appears twice in one node is an error and not the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of `node`; ConfigError with both lines when a key is repeated."""
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"line {line}: a key is a list or a mapping; keys are names.")
            key = str(key_node.value)
            if key in lines and key_node.tag != "tag:yaml.org,2002:merge":
                raise ConfigError(f"{key!r} appears twice, in lines {lines[key]} and {line}.")
            lines[key] = line
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """The whole number in `node`; ConfigError for one that Python would not even print."""
        value = super().construct_yaml_int(node)
        if value.bit_length() > LONGEST_NUMBER:
            raise ConfigError(f"line {node.start_mark.line + 1}: no setting means a number that long.")
        return value


UniqueKeyLoader.add_constructor("tag:yaml.org,2002:int", UniqueKeyLoader.construct_yaml_int)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, read safely. ConfigError when there is no such file or it is no such mapping."""
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise ConfigError(f"{path}: a configuration is a .yaml file.")
    text = _text_of(path)
    try:
        values = yaml.load(text, Loader=UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}: " if mark else ""
        said = f"{path}: {place}{error.problem} ({error.context or 'this is not YAML'})."
        raise ConfigError(f"{said}{_yaml_remedy(str(error.problem), text, mark)}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply to be meant.") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: a date or number that cannot be
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    require_small(values, f"{path}")
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds no settings (expected lines such as 'TOOLBOX_MODE: only_test').")
    return values


def _yaml_remedy(problem: str, text: str, mark: yaml.Mark | None) -> str:
    """A sentence on how to mend what YAML does not take; "" where nothing better is known than the place."""
    line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    if "\\t" in problem or "\t" in line[: len(line) - len(line.lstrip())]:
        return " The line has a tab: YAML indents with spaces only. Replace each tab by spaces."
    if "escape" in problem or "hexadecimal" in problem:
        return (
            " Between double quotes \\ has a meaning of its own: write a Windows path between single quotes, or with /."
        )
    return ""


def _encoding_remedy(data: bytes) -> str:
    """A sentence on what the bytes of a text that is no UTF-8 may be."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return " It looks like UTF-16: save it as UTF-8."
    for name, encoding in (("GBK", "gb18030"), ("Latin-1", "cp1252")):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text.isprintable() or all(mark.isprintable() or mark in "\r\n\t" for mark in text):
            return f" It may be {name}: save it as UTF-8."
    return " Save it as UTF-8."


def require_small(values: Any, source: str) -> None:
    """ConfigError for YAML whose aliases (`*name`), written out, come to more than any configuration holds."""
    if not _size(values, {}) <= MOST:
        raise ConfigError(f"{source}: its aliases (*name) come to more than {MOST:,} values, or hold themselves.")


def _size(value: Any, known: dict[int, float]) -> float:
    """How many values there are in all, each alias written out; infinite for one that holds itself."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(value)]


def _text_of(path: Path) -> str:
    """The text of a configuration file; ConfigError when it cannot be one."""
    try:
        if path.exists() and not path.is_dir() and not (path.is_file() and path.stat().st_size <= LARGEST):
            raise ConfigError(f"{path}: a pipe, a device or a file of megabytes is no configuration.")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file.{near_files(path)}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8 ({error}).{_encoding_remedy(error.object)}") from None


def near_files(path: Path) -> str:
    """A sentence with the file that was probably meant; "" when none is near."""
    if not path.is_absolute() and (ROOT / path).is_file():
        return f" It exists as {str(ROOT / path)!r}."
    names = [file.name for file in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    near = nearest(path.name, names)
    return f" Did you mean {str(path.parent / near)!r}?" if near else ""
