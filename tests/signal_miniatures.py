"""Small files in the layouts of the data sets of contact sensors, with waves of which we know everything."""

import h5py
import numpy as np

from dataset.synthetic.kailuan import render

PEOPLE = 6


def arterial(fs, seconds, rate=72.0, sbp=125.0, dbp=75.0, phase=0.0):
    """A line (L,) in mmHg whose beats rise in 0.1 s from `dbp` to `sbp`, with a dicrotic wave."""
    times = np.arange(round(fs * seconds)) / fs + phase
    inside = (times * rate / 60) % 1.0 * 60 / rate
    wave = np.where(inside < 0.1, np.sin(np.pi / 2 * inside / 0.1) ** 2, np.exp(-(inside - 0.1) / 0.25))
    wave += 0.12 * np.exp(-0.5 * ((inside - 0.36) / 0.04) ** 2)
    wave = (wave - wave.min()) / np.ptp(wave)
    return dbp + (sbp - dbp) * wave


def waves(fs, seconds, number=0, sbp=125.0):
    """ECG (mV), PPG and arterial line of one person, of `seconds` at `fs` (Hz), the line with a pulse at 72 bpm."""
    rng = np.random.default_rng(number)
    parts = [render(sbp, 80.0, "none", fs, rng)[:2] for _ in range(int(seconds // 7) + 1)]
    ecg, ppg = (np.concatenate([part[k] for part in parts])[: round(fs * seconds)] for k in (0, 1))
    return ecg.astype(float), ppg.astype(float), arterial(fs, seconds, sbp=sbp)


def write_npz(root, people=PEOPLE):
    """A folder of .npz windows and a table beside it; two windows of each person."""
    folder = root / "npz"
    folder.mkdir(parents=True)
    lines, persons = ["ssoid,right_arm_sbp,right_arm_dbp,subject"], ["ssoid,age,sex,bmi"]
    for number in range(2 * people):
        ecg, ppg, _ = waves(100.0, 6.0, number)
        np.savez_compressed(folder / f"w{number}.npz", x=np.stack([ecg, ppg], axis=1).astype(np.float32), fs=100.0)
        lines.append(f"w{number},{110 + number},{70 + number},p{number // 2}")
        persons.append(f"w{number},{30 + number // 2},{number // 2 % 2},24.5")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    (root / "labels_people.csv").write_text("\n".join(persons) + "\n")
    return folder


def write_ppg_bp(root, people=PEOPLE):
    """Pieces of 2.1 s at 1000 Hz, and the table."""
    (root / "0_subject").mkdir(parents=True)
    lines = ["Num.,subject_ID,Sex(M/F),Age(year),Height(cm),Weight(kg),Systolic Blood Pressure(mmHg),"
             "Diastolic Blood Pressure(mmHg),Heart Rate(b/m),BMI(kg/m^2),Hypertension,Diabetes"]  # fmt: skip
    for number in range(2, 2 + people):
        for piece in (1, 2, 3):
            ppg = waves(1000.0, 2.1, 10 * number + piece)[1]
            text = "\t".join(str(value) for value in np.rint(2000 + 300 * ppg).astype(int))
            (root / "0_subject" / f"{number}_{piece}.txt").write_text(text)
        sex = ("Female", "Male")[number % 2]
        lines.append(f"{number},{number},{sex},{30 + number},160,60,{110 + number},{70 + number},70,23.4,Normal,")
    (root / "PPG-BP dataset.csv").write_text("\n".join(lines) + "\n")
    return root


def write_pulsedb(path, people=PEOPLE):
    """A subset as MATLAB 7.3 stores it: (1250, 3, n), texts behind references; two windows of each person."""
    count = 2 * people
    signals = np.stack([np.stack(waves(125.0, 10.0, number)) for number in range(count)])
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("Subset")
        group.create_dataset("Signals", data=signals.T, chunks=(1250, 1, 4), compression="gzip")
        for name, first in {"SBP": 120, "DBP": 70, "Age": 50, "Height": 170, "Weight": 70, "BMI": 24}.items():
            group[name] = first + np.arange(count, dtype=float)[None]
        texts = {
            "Subject": [f"p{k // 2:06d}_1" for k in range(count)],
            "Gender": ["MF"[k // 2 % 2] for k in range(count)],
        }
        for name, words in texts.items():
            stored = [file.create_dataset(f"#refs#/{name}{k}", data=np.array([[ord(c)] for c in word], np.uint16))
                      for k, word in enumerate(words)]  # fmt: skip
            group.create_dataset(name, (1, count), dtype=h5py.ref_dtype)
            group[name][0] = np.array([one.ref for one in stored], dtype=h5py.ref_dtype)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Sat Jan  1 00:00:00 2000 HDF5 schema 1.00 .")
    return signals


def write_wfdb(folder, name, channels, fs=250.0, lines=None):
    """A record of format 16: `channels` are (name, unit, gain, values); its header's lines."""
    folder.mkdir(parents=True, exist_ok=True)
    values = np.stack([np.rint(values * gain) for _, _, gain, values in channels], axis=1)
    values.astype("<i2").tofile(folder / f"{name}.dat")
    header = [f"{name} {len(channels)} {fs:g} {len(values)}"]
    header += [f"{name}.dat 16 {gain:g}/{unit} 16 0 0 0 0 {title}" for title, unit, gain, _ in channels]
    (folder / f"{name}.hea").write_text("\n".join(lines(header) if lines else header) + "\n")
    return folder


def pressure_record(folder, name="r1", seconds=62.0, change=None, fs=250.0, number=0):
    """A WFDB record with ECG, PPG and line; `change(line)` damages the line first."""
    ecg, ppg, line = waves(fs, seconds, number)
    line = change(line.copy()) if change else line
    channels = [("II", "mV", 2000, ecg), ("PLETH", "NU", 4000, ppg), ("ABP", "mmHg", 50, line)]
    return write_wfdb(folder, name, channels, fs)
