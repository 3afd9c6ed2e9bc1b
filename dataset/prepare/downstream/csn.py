"""CSN: 12-lead ECGs of 10 s at 500 Hz with SNOMED CT codes (Chapman, Shaoxing, Ningbo), one record per patient.

Zheng et al., "A large scale 12-lead electrocardiogram database for arrhythmia study", PhysioNet, 2022; WFDB records,
whose layout and comments (`# Dx:`, in some releases `#Dx:`) are those of the PhysioNet/CinC Challenge 2021:

    RAW/WFDBRecords/**/JS00001.hea, JS00001.mat    16-bit samples behind 24 bytes, 1000 per mV
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dataset.files.reading import read_bytes
from dataset.files.wfdb import LARGEST_HEADER
from dataset.prepare.downstream.common import Options, Piece, Preparation
from dataset.prepare.downstream.ecg12 import LEADS, read_leads
from registry import PREPARATIONS

CODES = re.compile(r"^#\s*Dx:\s*(?P<codes>.*?)\s*$", re.MULTILINE | re.IGNORECASE)
SECONDS = 10.0


@PREPARATIONS.register("csn")
class CSN(Preparation):
    """All codes that occur are labels: 94 in the full set, fewer in a part of it."""

    channels, task = LEADS, "labels"
    source = "Zheng et al., PhysioNet, 2022 (ECG-arrhythmia 1.0.0); CC BY 4.0"

    def __init__(self, raw: Path, options: Options):
        """Read the codes of all headers."""
        super().__init__(raw, options)
        self.about["rate"] = 500.0
        self.paths = self.files("*.hea", "headers of WFDB records")
        self.codes: dict[str, list[str]] = {}
        for path in self.paths:
            self.codes[path.stem] = codes_of(path)
        self.labels = tuple(sorted({code for codes in self.codes.values() for code in codes}, key=_order))
        if not self.labels:
            raise ValueError(f"Not one header below '{raw}' has a line '# Dx:' with codes.")
        self.about["note"] = f"{len(self.labels)} codes are labels; the full set has 94."

    def subjects(self) -> list[str]:
        """One record per patient."""
        return [path.stem for path in self.paths]

    def pieces(self) -> Iterator[Piece]:
        """A record at a time; one that cannot be read is skipped."""
        for path in self.paths:
            try:
                wave, fs = read_leads(path)
                windows, count = self.windows(wave, fs, SECONDS, SECONDS)
                if not count:
                    raise ValueError(f"it lasts {wave.shape[1] / fs:.1f} s, less than {SECONDS:g}")
            except (ValueError, OSError) as error:
                self.skipped[path.stem] = str(error)
                continue
            there = np.isin(self.labels, self.codes[path.stem]).astype(np.float32)
            yield Piece(path.stem, windows[:1], there[None])

    def beside(self) -> dict[str, str]:
        """The list of the codes, in the order of the columns."""
        return {"snomed_ct_classes.json": json.dumps(list(self.labels), indent=1) + "\n"}


def codes_of(path: Path) -> list[str]:
    """The codes of a header's line `# Dx:`; [] without one."""
    text = read_bytes(path, LARGEST_HEADER).decode("utf-8-sig", "backslashreplace")
    found = CODES.search(text)
    codes = [code.strip() for code in found["codes"].split(",")] if found else []
    return [code for code in codes if code and code.lower() != "unknown"]


def _order(code: str) -> tuple[int, str]:
    return (int(code) if code.isdigit() else 0, code)
