"""What surrounds the answers on their page: styles that all pages share, head, what the numbers mean, foot."""

STYLES = """:root { --ink: #1d2126; --soft: #59636e; --paper: #fff; --card: #f6f7f9; --rule: #d5dae0; --pulse: #b3261e;
  --area: #b3261e33; --beat: #8a949e88; --warn: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a3acb6; --paper: #14171a; --card: #1d2125;
  --rule: #3a4149; --pulse: #ff8a80; --area: #ff8a8033; --beat: #a3acb666; --warn: #f0b74a; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 0 auto; padding: 1em; color: var(--ink);
  background: var(--paper); overflow-wrap: anywhere; }
h1 { font-size: 1.5em; margin: .3em 0; } h2 { font-size: 1.25em; margin: 0 0 .5em; }
h3 { font-size: 1em; margin: 0 0 .3em; } a { color: inherit; } p { margin: .3em 0; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 1em; margin: 1em 0; }
.top { display: flex; flex-wrap: wrap; gap: 1em; align-items: flex-start; }
.said { flex: 1 1 17em; min-width: 0; } .rate { font-size: 1.3em; line-height: 1.1; } .rate b { font-size: 2.6em; }
.none { font-size: 1.9em; font-weight: bold; line-height: 1.15; color: var(--warn); }
.about, .chart p, .note, figcaption, .need, .axis, .unit, small { color: var(--soft); font-size: .87em; }
.photos { display: flex; flex-wrap: wrap; gap: .6em; } figure { margin: 0; }
.photos img { height: 120px; max-width: 100%; display: block; border-radius: 4px; }
figcaption { max-width: 10em; } th { white-space: nowrap; }
.chart { margin-top: 1.2em; } .wide { overflow-x: auto; padding-bottom: 1.7em; }
.plot { position: relative; height: 170px; margin: 0 .8em 1.4em 2.6em; border-left: 1px solid var(--rule);
  border-bottom: 1px solid var(--rule); } .plot.bare { margin-left: .8em; height: 120px; }
.plot svg { width: 100%; height: 100%; display: block; }
.plot span { position: absolute; font-size: 11px; line-height: 1; color: var(--soft); white-space: nowrap; }
.plot .x { top: calc(100% + 5px); transform: translateX(-50%); }
.plot .y { right: calc(100% + 5px); transform: translateY(50%); }
.wide { padding-bottom: 0; } .axis { padding-left: 3em; } .unit { font-size: 11px; }
svg * { vector-effect: non-scaling-stroke; fill: none; stroke-width: 1.5px; stroke-linejoin: round; }
.line { stroke: var(--pulse); } .doubt { stroke-dasharray: 5 4; } .mark { stroke: var(--beat); stroke-width: 1px; }
.area { fill: var(--area); stroke: none; } .path { stroke: #fff; stroke-width: 2px; }
.under { stroke: #000; stroke-width: 4.5px; }
.dots { stroke: var(--soft); stroke-width: 4px; stroke-linecap: round; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 4px 10px 4px 0; vertical-align: top; border-top: 1px solid var(--rule); }
tr:first-child th { border: 0; font-weight: normal; font-size: .87em; color: var(--soft); }
.v, .need { white-space: nowrap; } .missing { color: var(--warn); white-space: normal; }
dt { font-weight: bold; margin-top: .5em; } dd { margin: 0 0 0 1em; }
@media (max-width: 36em) { body { padding: .5em; } section { padding: .7em; } table, tbody, tr { display: block; }
  tr:first-child { display: none; } tr { border-top: 1px solid var(--rule); padding: .4em 0; }
  th, td { border: 0; padding: 0 .5em 0 0; display: inline; } td:last-child { display: block; color: var(--soft); }
  .need::before { content: "needs "; } }
"""

HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<style>
STYLES</style></head><body>
<h1>TITLE</h1>""".replace("STYLES", STYLES)

MEANINGS = """<section><h2>What the numbers mean</h2><dl>
<dt>Rate</dt><dd>Heart beats per minute (bpm), the median over the whole recording. It is read from windows of 10 s, a
second apart, as the one course through all of them that fits best.</dd>
<dt>The two rates beside it</dt><dd>Nine of ten rates along the recording lie between them. They are further apart where
the heart changed its rate, and where noise leaves a window open.</dd>
<dt>Confidence</dt><dd>From 0 to 1: how much of what is measured is pulse and not noise, and how well the methods
agree. Below LEVEL no rate is given, because too many such rates were wrong when it was tried.</dd>
<dt>No reliable pulse</dt><dd>Not that there is no heart beat: this recording does not show it clearly enough. The
reason says what to change.</dd>
<dt>Breathing, RMSSD, SDNN, pNN50, LF/HF</dt><dd>They come from the time between clean beats, and each needs a recording
of some length. Standards ask for five minutes; of less they say something about that time only. A camera places a beat
no better than its frames follow each other, which alone adds some milliseconds to RMSSD.</dd>
</dl></section>"""

FOOT = """<p><small>BESIDE This page shows signals of people, and may show faces: keep it as you keep the recordings.
Research software, not a medical device.</small></p></body></html>"""
