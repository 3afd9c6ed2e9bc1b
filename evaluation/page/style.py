"""What surrounds the report on its page: head with its styles, the one script, foot."""

import base64
import hashlib
from html import escape
from pathlib import Path

from dataset.files.names import shown
from evaluation.vitals_style import STYLES

SCRIPT = Path(__file__).with_name("script.js").read_text(encoding="utf-8")

OWN = """
body { max-width: 80em; } section { overflow: hidden; } h2 small { font-weight: normal; }
.spec { font-family: ui-monospace, monospace; font-size: .85em; color: var(--soft); margin: .2em 0 .8em; }
.note { border-left: 3px solid var(--warn); padding-left: .7em; color: inherit; }
.lost { color: var(--warn); font-weight: bold; } caption.lost { text-align: left; }
nav a { margin-right: 1em; white-space: nowrap; }
.scroll { overflow-x: auto; } .scroll table { display: table; width: auto; min-width: 100%;
  font-size: .93em; }
.scroll tbody, .scroll thead { display: revert; } .scroll tr { display: table-row; border: 0; padding: 0; }
.scroll th, .scroll td { display: table-cell; border-top: 1px solid var(--rule); padding: 4px 0 4px 13px;
  text-align: right; white-space: nowrap; }
.scroll td:last-child { display: table-cell; color: inherit; }
.scroll th:first-child, .scroll td:first-child { text-align: left; white-space: normal; min-width: 11em;
  padding-left: 0; }
.scroll thead th { font-weight: normal; color: var(--soft); border: 0; vertical-align: bottom; }
.scroll td small { display: block; color: var(--soft); } .scroll .base td { color: var(--soft); }
.plain th, .plain td { text-align: left; white-space: normal; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid var(--pulse); }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
select { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--rule); border-radius: 5px;
  padding: .2em .4em; max-width: 100%; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22em), 1fr)); gap: 0 1.5em; }
.tall .plot { height: 270px; } .plot { touch-action: pan-y; }
.reference { stroke: var(--soft); stroke-width: 1.2px; } .second { stroke: var(--soft); stroke-dasharray: 5 4; }
.points { stroke: var(--pulse); stroke-opacity: .7; stroke-width: 6px; stroke-linecap: round; }
.zero { stroke: var(--soft); stroke-width: 1px; } .limit { stroke: var(--soft); stroke-dasharray: 6 5; }
.plot .mean { left: auto; right: 2px; transform: translateY(-3px); background: var(--card); padding: 0 2px; }
#tip { position: fixed; z-index: 9; pointer-events: none; background: var(--ink); color: var(--paper);
  border-radius: 5px;
  padding: .3em .6em; font-size: .85em; line-height: 1.35; max-width: 22em; white-space: pre-line; }
.plot .cursor { position: absolute; top: 0; bottom: 0; width: 1px; background: var(--soft); pointer-events: none; }
.plot .ring { position: absolute; width: 14px; height: 14px; margin: -7px; border: 2px solid var(--ink);
  border-radius: 50%; pointer-events: none; }
.worst { border-top: 1px solid var(--rule); padding-top: .8em; margin-top: 1em; } .worst:first-of-type { border: 0; }
.worst h3 { font-size: 1.1em; } .photos img { height: 84px; image-rendering: auto; }
.wide .plot { margin-right: 1.2em; }
pre { white-space: pre-wrap; font-size: .82em; } summary { cursor: pointer; } details { margin: .5em 0; }
"""

HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline';
 script-src 'sha256-HASH'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<style>
STYLES</style></head><body>
<h1>TITLE</h1>"""

FOOT = """<p><small>This page shows signals of people, and may show faces: keep it as you keep the recordings. Every
number of its tables is in NUMBERS. Research software, not a medical device.</small></p>
<div id="tip" hidden></div>
<script type="application/json" id="rows">ROWS</script>
<script>SCRIPT</script></body></html>"""


def head(title: str) -> str:
    """The beginning of the page; nothing but the page's own script may run in it, whatever names say."""
    sign = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    page = HEAD.replace("HASH", sign).replace("STYLES", STYLES + OWN)
    return page.replace("TITLE", escape(shown(title)))


def foot(rows: str, numbers: str = "metrics.json") -> str:
    """The end of the page; `rows` is JSON, which cannot end its element. `numbers`: the file that has all of them."""
    for mark, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        rows = rows.replace(mark, code)
    before, after = FOOT.replace("NUMBERS", numbers).split("ROWS")
    return before + rows + after.replace("SCRIPT", SCRIPT)
