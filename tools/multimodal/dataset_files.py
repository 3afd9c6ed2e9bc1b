"""dataset.json and subjects.csv of a data set: made with the first recording, completed by hand."""

from pathlib import Path

from dataset.files.reading import read_json, read_text
from dataset.files.writing import write_whole
from dataset.multimodal.appending import write_json
from dataset.multimodal.layout import SUBJECT_COLUMNS, UNITS

SET, PEOPLE = "dataset.json", "subjects.csv"


def add_subject(root: Path, subject: str) -> None:
    """Enter `subject` in both files, where it is not there yet; what else they say stays.

    Age, sex, skin type, glasses and make-up are left empty: the protocol says who fills them in, and from what.
    """
    values = read_json(root / SET) if (root / SET).exists() else {}
    known = values.get("subjects") if isinstance(values.get("subjects"), list) else []
    if subject not in known:
        described = {"name": root.resolve().name, "version": "0", "licence": "not released", "units": UNITS}
        write_json(root / SET, {**described, **values, "subjects": sorted([*map(str, known), subject])})
    text = read_text(root / PEOPLE) if (root / PEOPLE).exists() else ",".join(SUBJECT_COLUMNS) + "\n"
    if not any(line.split(",")[0].strip() == subject for line in text.splitlines()[1:]):
        text = text if text.endswith("\n") else text + "\n"
        write_whole(root / PEOPLE, text + subject + "," * (len(SUBJECT_COLUMNS) - 1) + "\n")
