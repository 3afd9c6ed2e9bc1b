"""A page in headless Chromium: what it says on the console, what a probe finds in it, how long it takes to open."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SECONDS = 240  # that a busy machine may need to start a browser
WRAPPER = """<body><iframe id="page" style="width:{width}px;height:900px" src="{page}"></iframe><pre id="found"></pre>
<script>
const began = performance.now(), frame = document.getElementById("page");
frame.addEventListener("load", () => {{
  const opened = performance.now() - began, page = frame.contentDocument, view = frame.contentWindow;
  const found = (() => {{ {probe} }})();
  document.getElementById("found").textContent = JSON.stringify({{ opened, found }});
}});
</script></body>"""


def look(page: Path, probe: str, width: int = 1400) -> dict[str, Any]:
    """`found`: what the JavaScript `probe` returns, with the `page` and its window `view`; `opened`: ms to load.

    `console`: everything that was printed there. `asked`: addresses that were asked for and are no file. Skips the test
    without a browser.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    wrapper, log = page.with_name("wrapper.html"), page.with_name("net.json")
    wrapper.write_text(WRAPPER.format(width=width, page=page.absolute().as_uri(), probe=probe))
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    options += ["--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-sync"]
    options += [f"--user-data-dir={page.parent / 'browser'}", f"--log-net-log={log}", "--enable-logging=stderr"]
    options += ["--virtual-time-budget=5000", "--dump-dom", wrapper.as_uri()]
    ran = subprocess.run(
        [browser, *options], capture_output=True, text=True, timeout=SECONDS, check=True, env={**os.environ}
    )
    told = re.search(r'<pre id="found">(.*?)</pre>', ran.stdout, re.S)
    said = [line for line in ran.stderr.splitlines() if ":CONSOLE" in line]
    assert told and told[1], f"the probe failed: {said}"
    return {**json.loads(html.unescape(told[1])), "console": said, "asked": asked(log)}


def asked(log: Path) -> list[str]:
    """Addresses that pages asked for, by the browser's log of the network; what it asks for itself has no origin."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if '"initiator":"' in line]
    of_pages = [line for line in lines if '"initiator":"not an origin"' not in line]
    return sorted({one for line in of_pages for one in re.findall(r'"url":"((?:https?|wss?|ftp)://[^"]*)"', line)})
