"""The sources of the documentation site: python -m tools.docs.build build

    build/docs/         docs/ as it lies there, and beside it one page per method and data set
    build/mkdocs.yml    what mkdocs reads; `make docs` then makes build/site/

The pages of methods and data sets come from their docstrings, their options and the shipped files that name them, so
they cannot say anything else than the code. mkdocs is not needed for this half.
"""

import argparse
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dataset.faults import ROOT
from tools.docs import pages

DOCS = ROOT / "docs"
CARD = ("<!-- model card -->", "<!-- /model card -->")
TASKS = {  # file -> title, in the order of a newcomer's questions
    "own_videos.md": "The pulse in your own videos",
    "tasks/contact_sensors.md": "Contact PPG and ECG",
    "tasks/compare_methods.md": "Compare classical methods",
    "tasks/train.md": "Train, fine-tune, cross-validate",
    "tasks/evaluate_predictions.md": "Score any program's predictions",
    "tasks/check_data.md": "Is the data sound?",
    "tasks/read_a_report.md": "Read a report",
    "tasks/repeat_a_run.md": "Repeat a run",
    "tasks/large_data.md": "Large data sets and clusters",
    "tasks/from_rppg_toolbox.md": "Coming from rPPG-Toolbox",
    "tasks/extend.md": "Add a data set or a method",
}
FACTS = {
    "model_card.md": "Model card",
    "where_numbers_come_from.md": "Where each number comes from",
    "demos.md": "What the demos reach",
    "benchmarks.md": "Benchmarks",
    "versions.md": "Tried versions",
}


def build(target: Path) -> Path:
    """Write the sources of the site below `target`, whose folder `docs` is made anew; the path of its mkdocs.yml."""
    docs = target / "docs"
    if docs.exists():
        shutil.rmtree(docs)
    shutil.copytree(DOCS, docs)
    (docs / "model_card.md").write_text(model_card(), encoding="utf-8")
    made = {}
    for folder, found in pages.every().items():
        (docs / folder).mkdir()
        for name, text in found.items():
            (docs / folder / f"{file_name(name)}.md").write_text(text, encoding="utf-8")
        made[folder] = {name: f"{folder}/{file_name(name)}.md" for name in found}
    config = target / "mkdocs.yml"
    config.write_text(yaml.safe_dump(site(made), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return config


def others() -> dict[str, str]:
    """File -> title of the pages in docs/ that no list above names: a new page is in the menu by being there."""
    files = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
    known = {"index.md", *TASKS, *FACTS}
    return {file: title_of(DOCS / file) for file in files if file not in known}


def title_of(path: Path) -> str:
    """The first heading of a page."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.lstrip("# ") for line in lines if line.startswith("#")), path.stem)


def file_name(name: str) -> str:
    """The name of the page of an entry."""
    return re.sub(r"[^\w-]+", "_", name)


def model_card() -> str:
    """The table of all networks, which README.md holds between two marks."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    card = text.split(CARD[0])[1].split(CARD[1])[0].strip().replace("](docs/", "](")  # this page lies in docs/
    return f"""# Model card

Every network, as it is built here. `python tools/model_card.py` measures it anew.

{card}

## What they are for

Research on measuring the pulse and breathing without contact. They are no medical devices. Networks learn the light,
cameras, skin and motion of the people they saw: errors on others are larger. Judge one on people of your own, beside
POS and the constant mean, which stand in every report.
"""


def site(made: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """What mkdocs reads: everything comes with the site, no font and no script from elsewhere."""
    nav = [
        {"Start": "index.md"},
        {"Tasks": [{title: file} for file, title in TASKS.items()]},
        {"Facts": [{title: file} for file, title in {**FACTS, **others()}.items()]},
        *[{pages.TITLES[folder]: [{name: file} for name, file in found.items()]} for folder, found in made.items()],
    ]
    dark, light = "(prefers-color-scheme: dark)", "(prefers-color-scheme: light)"
    return {
        "site_name": "PulseScope",
        "site_description": "Measure the pulse from face video and contact sensors",
        "docs_dir": "docs",
        "site_dir": "site",
        "use_directory_urls": False,  # so that the site opens from a folder
        "theme": {
            "name": "material",
            "font": False,
            "palette": [
                {"media": light, "scheme": "default", "primary": "red", "accent": "red"},
                {"media": dark, "scheme": "slate", "primary": "red", "accent": "red"},
            ],
            "features": ["navigation.indexes", "navigation.top", "content.code.copy"],
        },
        "plugins": ["search"],
        "markdown_extensions": ["tables", "fenced_code", "toc"],
        "nav": nav,
    }


def main() -> None:
    """Read the command line, build, say where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="folder to write to, such as build")
    target = parser.parse_args().target
    target.mkdir(parents=True, exist_ok=True)
    print(f"Sources of the site: {build(target)}")


if __name__ == "__main__":
    main()
