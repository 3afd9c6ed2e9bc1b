"""report.html of an aligned recording: all waves on one axis, clocks, gaps; one file without scripts of others."""

from collections.abc import Mapping
from html import escape

import numpy as np

from dataset.files.names import shown
from dataset.multimodal.align import Aligned
from dataset.multimodal.layout import DEVICES
from evaluation.charts import Chart, figure
from evaluation.page.style import foot, head

PULSE, BREATH = 6.0, 20.0  # s of the waves that are drawn before and after the middle of the recording
NAMES = {
    "rgb": "RGB", "thermal": "thermal", "radar": "radar", "ppg": "finger PPG", "belt": "breathing belt",
}  # fmt: skip
ORDER = (*DEVICES, "belt")


def page(found: Aligned) -> str:
    """The whole page."""
    parts = [head(f"Aligned recording {found.id}"), _verdict(found), _clocks(found)]
    parts += [_waves(found, found.pulse, "Pulse", PULSE), _waves(found, found.breath, "Breath", BREATH)]
    parts += [_residuals(found), _coverage(found), foot("{}", numbers="meta.json")]
    return "\n".join(parts)


def _verdict(found: Aligned) -> str:
    word = "sync_ok: true" if found.ok else "sync_ok: false, kept out of default splits"
    lines = [f"<p class='{'spec' if found.ok else 'lost'}'>{word}; {found.t[-1]:.1f} s, {len(found.t)} frames.</p>"]
    for text in [*found.problems, *found.notes]:
        lines.append(f"<p class='note'>{escape(shown(text))}</p>")
    if np.isfinite(found.lag):
        lines.append(
            f"<p>The pulse in the finger follows the pulse in the face by {1000 * found.lag:.0f} ms "
            f"(correlation {found.correlation:.2f}; a body gives -50 to 500 ms).</p>"
        )
    return "".join(lines)


def _clocks(found: Aligned) -> str:
    heads = ("device", "offset (ms)", "&#177; (ms)", "drift (ppm)", "residual, 95 % (ms)", "bursts seen",
             "pulse (1/min)", "breath (1/min)", "gaps")  # fmt: skip
    rows = "".join(_row(found, device) for device in ORDER if device in found.synced or device in found.rates)
    table = f"<table><thead><tr>{''.join(f'<th>{one}</th>' for one in heads)}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<section><h2>Clocks and rates</h2><div class='scroll'>{table}</div></section>"


def _row(found: Aligned, device: str) -> str:
    one, rates = found.synced.get(device), found.rates.get(device, {})
    cells = [NAMES[device]]
    if one is None:
        cells += ["on the PPG's clock", "", "", "", ""]
    else:
        seen = sum(mark is not None for mark in one.marks)
        cells += [f"{1000 * one.offset:+.1f}", f"{1000 * one.spread:.1f}", f"{one.drift_ppm:+.1f}"]
        cells += [f"{1000 * one.residual:.1f}", f"{seen} of {len(one.marks)}"]
    cells += [f"{rates[name]:.1f}" if name in rates else "" for name in ("pulse", "breath")]
    gaps = found.gaps.get(device, [])
    cells.append(f"{len(gaps)}, {sum(b - a for a, b in gaps):.1f} s" if gaps else "none" if one else "")
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _waves(found: Aligned, waves: Mapping[str, np.ndarray], title: str, reach: float) -> str:
    """All waves below each other on one axis, `reach` s around the middle of the recording; each in its own height."""
    names = [name for name in ORDER if name in waves]
    if not names:
        return ""
    middle = found.t[-1] / 2
    begin, end = max(middle - reach, 0.0), min(middle + reach, found.t[-1])
    inside = (found.t >= begin) & (found.t <= end)
    chart = Chart((begin, end), (0.0, float(len(names))), "seconds", "")
    for place, name in enumerate(names):
        wave = np.asarray(waves[name])[inside]
        low, high = np.percentile(wave, [1, 99]) if len(wave) else (0.0, 1.0)
        level = len(names) - 1 - place + 0.08 + 0.84 * np.clip((wave - low) / (high - low or 1.0), 0, 1)
        chart.line(found.t[inside], level, "line" if place % 2 == 0 else "line reference", NAMES[name])
    said = ", ".join(NAMES[name] for name in names)
    caption = f"From above: {said}; each band-passed and scaled to its own height, on the time of the RGB camera."
    return f"<section><h2>{title}</h2>{figure(title, chart.html(f'{title} of {said}'), caption)}</section>"


def _residuals(found: Aligned) -> str:
    parts = []
    for device, one in found.synced.items():
        late = 1000 * one.line.residual
        if len(late) < 2:
            continue
        top = float(np.percentile(np.abs(late), 99.5)) or 1.0
        chart = Chart((0.0, found.t[-1]), (-top, 1.5 * top), "seconds", "ms")
        chart.dots(np.linspace(0, found.t[-1], len(late)), np.clip(late, -top, 1.5 * top))
        caption = f"How late each stamp came beside its line; 95 % lie within {1000 * one.residual:.1f} ms."
        parts.append(figure(NAMES[device], chart.html(f"arrivals of {NAMES[device]}"), caption))
    return f"<section><h2>Arrivals</h2><div class='pair'>{''.join(parts)}</div></section>"


def _coverage(found: Aligned) -> str:
    rows = "".join(
        f"<tr><td>{NAMES[device]}</td><td>{found.valid[:, k].mean():.1%}</td>"
        f"<td>{'; '.join(f'{a:.1f} to {b:.1f} s' for a, b in found.gaps.get(device, [])[:20]) or 'none'}</td></tr>"
        for k, device in enumerate(DEVICES)
        if device in found.synced
    )
    heads = "<tr><th>device</th><th>valid</th><th>gaps of more than 0.5 s</th></tr>"
    table = f"<div class='scroll'><table><thead>{heads}</thead>"
    return f"<section><h2>Gaps</h2>{table}<tbody>{rows}</tbody></table></div></section>"
