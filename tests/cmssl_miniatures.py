"""Small raw files of the data sets that tools/prepare_downstream.py reads, each laid out as its publisher says."""

import pickle
import struct

import h5py
import numpy as np
import scipy.io

from tests.signal_miniatures import arterial, write_wfdb

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def pulse(fs, seconds, rate=72.0, phase=0.0):
    """A wave (L,) with `rate` beats a minute and an overtone."""
    times = np.arange(round(fs * seconds)) / fs + phase
    turn = 2 * np.pi * rate / 60 * times
    return np.sin(turn) + 0.4 * np.sin(2 * turn + 0.5)


def write_dalia(root, people=5, seconds=60, breaths=15.0, **changes):
    """Reiss et al. 2019, readme of the archive: S1/S1.pkl, Python 2 pickles; breathing at `breaths` per minute."""
    for number in range(1, people + 1):
        content = {
            "signal": {
                "wrist": {"BVP": pulse(64.0, seconds, 60 + 5 * number)[:, None], "ACC": np.zeros((10, 3))},
                "chest": {"Resp": np.sin(2 * np.pi * breaths / 60 * np.arange(seconds * 700) / 700)[:, None]},
            },
            "label": np.full((seconds - 8) // 2 + 1, 60.0 + 5 * number),
            "questionnaire": {"Gender": "m", "AGE": 30},
            "subject": f"S{number}",
        } | changes
        folder = root / f"S{number}"
        folder.mkdir(parents=True)
        (folder / f"S{number}.pkl").write_bytes(pickle.dumps(content, protocol=2))
    return root


def write_bidmc(root, people=10, seconds=40, interval=4.0):
    """Pimentel et al. 2017, PhysioNet bidmc 1.0.0: three tables, blanks before names; a breath every `interval` s."""
    folder = root / "bidmc_csv"
    folder.mkdir(parents=True)
    for number in range(1, people + 1):
        name, wave = f"bidmc_{number:02d}", pulse(125.0, seconds, 60 + number)
        lines = ["Time [s], RESP, PLETH, V, AVR, II"]
        lines += [f"{k / 125:.3f},0.5,{value:.5f},0.1,0.2,0.3" for k, value in enumerate(wave)]
        (folder / f"{name}_Signals.csv").write_text("\n".join(lines) + "\n")
        rows = [f"{second},{60 + number if second != 3 else 'NaN'},60,15,97" for second in range(seconds)]
        (folder / f"{name}_Numerics.csv").write_text("\n".join(["Time [s], HR, PULSE, RESP, SpO2", *rows]) + "\n")
        marks = (np.arange(0, seconds + 0.1, interval) * 125).astype(int)
        head = "breaths ann1 [signal sample no], breaths ann2 [signal sample no]"
        rows = [f"{mark},{other}" for mark, other in zip(marks[:-1], marks[::2], strict=False)]
        rows += [f"{mark}," for mark in marks[len(rows) :]]
        (folder / f"{name}_Breaths.csv").write_text("\n".join([head, *rows]) + "\n")
    return root


def write_uci_parts(root, records=3, seconds=12):
    """Kachuee et al. 2015, UCI: Part_k, cells of (3, L) in MATLAB 7.3, which h5py sees as (L, 3)."""
    root.mkdir(parents=True, exist_ok=True)
    for part in range(1, 5):
        with h5py.File(root / f"Part_{part}.mat", "w", userblock_size=512) as file:
            stored = []
            for number in range(records):
                line = arterial(125.0, seconds, rate=70.0, sbp=110 + 5 * part + number, dbp=70.0, phase=0.1 * number)
                rows = np.stack([pulse(125.0, seconds, 70 + 4 * part + number), line, pulse(125.0, seconds, 70, 0.2)])
                stored.append(file.create_dataset(f"#refs#/r{number}", data=rows.T).ref)
            file.create_dataset(f"Part_{part}", (records, 1), dtype=h5py.ref_dtype)[:, 0] = stored
    return root


def write_uci_folds(root, patients=3, trials=2):
    """González et al. 2023: signal_fold_k.mat with signal (n, 625), SP, DP, patient, trial."""
    root.mkdir(parents=True, exist_ok=True)
    for fold in range(3):
        rows = [(100 * fold + who, trial) for who in range(patients) for trial in range(trials)]
        signal = np.stack([pulse(125.0, 5.0, 60 + who % 100 + 7 * fold, 0.37 * trial) for who, trial in rows])
        scipy.io.savemat(root / f"signal_fold_{fold}.mat", {
            "signal": signal, "SP": np.array([[120.0 + who % 100 for who, _ in rows]]),
            "DP": np.array([[70.0 + trial for _, trial in rows]]), "patient": np.array([[who for who, _ in rows]]),
            "trial": np.array([[trial for _, trial in rows]]),
        })  # fmt: skip
    return root


def write_ecg12(folder, name, fs=500.0, seconds=10, codes="426783006", blank=" ", order=LEADS, comments=True):
    """A 12-lead WFDB record; lead k is k + 1 mV high. `blank` stands between # and Dx (both are published)."""
    channels = [(lead, "mV", 1000, (LEADS.index(lead) + 1) * pulse(fs, seconds, 70) / 2) for lead in order]
    write_wfdb(folder, name, channels, fs)
    if comments:
        header = folder / f"{name}.hea"
        header.write_text(header.read_text() + f"#{blank}Age: 50\n#{blank}Sex: Male\n#{blank}Dx: {codes}\n")


def write_csn(root, records=12):
    """Zheng et al. 2022, PhysioNet ecg-arrhythmia: WFDBRecords/01/010/JS00001.hea; every other one writes `#Dx:`."""
    for number in range(1, records + 1):
        codes = ("426783006", "426177001,164934002", "427084000")[number % 3]
        write_ecg12(
            root / "WFDBRecords" / "01" / "010", f"JS{number:05d}", codes=codes, blank=" " if number % 2 else ""
        )
    return root


def write_ptb_xl(root, records=20):
    """Wagner et al. 2020: two tables and records100; two records of each patient, the folds 1 to 10 by patient."""
    codes = ["{'NORM': 100.0, 'SR': 0.0}", "{'IMI': 50.0, 'LVH': 100.0}", "{'SR': 0.0}", "{'NDT': 0.0, 'CRBBB': 100.0}"]
    lines = ["ecg_id,patient_id,age,sex,scp_codes,strat_fold,filename_lr,filename_hr"]
    for number in range(1, records + 1):
        patient = (number - 1) // 2
        name = f"records100/00000/{number:05d}_lr"
        write_ecg12(root / "records100" / "00000", f"{number:05d}_lr", 100.0, comments=False)
        lines.append(f'{number},{patient}.0,50,1,"{codes[number % 4]}",{patient % 10 + 1},{name},{name}')
    (root / "ptbxl_database.csv").write_text("\n".join(lines) + "\n")
    (root / "scp_statements.csv").write_text(
        ",description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass\n"
        "NORM,normal ECG,1.0,,,NORM,NORM\nIMI,inferior infarction,1.0,,,MI,IMI\nLVH,hypertrophy,1.0,,,HYP,LVH\n"
        "NDT,non-diagnostic,1.0,1.0,,STTC,STTC\nCRBBB,block,1.0,,,CD,CRBBB\nSR,sinus rhythm,,,1.0,,\n"
    )
    return root


def write_cinc2017(root, records=40, headers=True):
    """Clifford et al. 2017: training2017/A00001.mat (level 4, `val`), .hea and REFERENCE-v3.csv; 9 to 61 s."""
    folder = root / "training2017"
    folder.mkdir(parents=True)
    lines = []
    for number in range(1, records + 1):
        name, seconds = f"A{number:05d}", (9, 30, 16, 61)[number % 4]
        samples = np.rint(1000 * pulse(300.0, seconds, 60 + number)).astype("<i2")
        head = struct.pack("<5i", 30, 1, len(samples), 0, 4) + b"val\0"
        (folder / f"{name}.mat").write_bytes(head + samples.tobytes())
        if headers:
            text = f"{name} 1 300 {len(samples)}\n{name}.mat 16+24 1000/mV 16 0 0 0 0 ECG\n"
            (folder / f"{name}.hea").write_text(text)
        lines.append(f"{name},{'NAO~'[number % 4]}")
    (root / "REFERENCE-v3.csv").write_text("\n".join(lines) + "\n")
    return root
