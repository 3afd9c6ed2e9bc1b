"use strict";
// Tables that sort, plots of the windows behind them, values where the pointer is. Names are only ever set as text.
const WIDE = 1000, HIGH = 300, NEAR = 28, LISTED = 2000;
const data = JSON.parse(document.getElementById("rows").textContent);
const tip = document.getElementById("tip");

function say(event, text) {
  tip.textContent = text;
  tip.hidden = false;
  const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 6);
  const above = event.clientY - tip.offsetHeight - 12;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${above > 4 ? above : event.clientY + 18}px`;
}

function hush(plot) {
  tip.hidden = true;
  plot.querySelectorAll(".cursor, .ring").forEach((one) => one.remove());
}

function put(plot, kind, left, top) {
  const mark = document.createElement("div");
  mark.className = kind;
  mark.style.left = `${left}px`;
  if (top !== undefined) mark.style.top = `${top}px`;
  plot.append(mark);
}

function listen(plot, show) {
  const moved = (event) => { hush(plot); show(event, plot.querySelector("svg").getBoundingClientRect()); };
  plot.addEventListener("pointermove", moved);
  plot.addEventListener("pointerdown", moved);
  plot.addEventListener("pointerleave", () => hush(plot));
}

// --- tables

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    button.type = "button";
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => {
        const cell = row.cells[column];
        if (cell.dataset.v === undefined) return cell.dataset.key === undefined ? cell.textContent : NaN;
        return Number(cell.dataset.v);
      };
      const rows = [...table.tBodies[0].rows].map((row) => [value(row), row]);
      rows.sort(([a], [b]) => order(a, b, up));
      table.tBodies[0].append(...rows.map(([, row]) => row));
    });
  });
}

function order(a, b, up) {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);  // what is missing comes last
  const way = typeof a === "number" && typeof b === "number" ? a - b
    : String(a).localeCompare(String(b), undefined, { numeric: true });
  return up ? way : -way;
}

// --- plots that the page was written with

function linesOf(plot) {
  const [x0, x1] = plot.dataset.x.split(" ").map(Number), [y0, y1] = plot.dataset.y.split(" ").map(Number);
  return [...plot.querySelectorAll("polyline")].map((line) => ({
    name: line.dataset.name || "",
    points: line.getAttribute("points").split(" ").map((point) => {
      const [x, y] = point.split(",").map(Number);
      return [x0 + (x1 - x0) * x / WIDE, y0 + (y1 - y0) * (1 - y / HIGH)];
    }),
  }));
}

function still(plot) {
  let lines = null;  // read when they are first looked at: there may be many plots
  const unit = plot.parentNode.querySelector(".axis").textContent;
  listen(plot, (event, box) => {
    lines = lines || linesOf(plot).filter((line) => line.name);
    if (!lines.length) return;
    const [x0, x1] = plot.dataset.x.split(" ").map(Number);
    const at = x0 + (x1 - x0) * (event.clientX - box.left) / box.width;
    const nearest = lines.map((line) => [line.name, line.points.reduce((best, one) =>
      Math.abs(one[0] - at) < Math.abs(best[0] - at) ? one : best)]);
    const x = nearest.map(([, point]) => point[0]).reduce((best, one) =>
      Math.abs(one - at) < Math.abs(best - at) ? one : best);
    put(plot, "cursor", (x - x0) / (x1 - x0) * box.width);
    say(event, [`${unit}: ${number(x)}`, ...nearest.map(([name, point]) => `${name}: ${number(point[1])}`)].join("\n"));
  });
}

const number = (value) => String(Number(value.toPrecision(4)));
const signed = (value) => (value > 0 ? "+" : "") + value.toFixed(2);

// --- plots of the windows of one method

const mean = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;

function ticks(first, last, most) {
  const rough = (last - first) / most, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * size).find((one) => one >= rough * (1 - 1e-9));
  const found = [];
  for (let k = Math.ceil(first / step - 1e-9); k <= last / step + 1e-9; k += 1) found.push(Number((k * step).toFixed(9)));
  return found;
}

function span(values, room = 0.05) {
  const low = Math.min(...values), high = Math.max(...values), more = room * (high - low) || 1;
  return [low - more, high + more];
}

function draw(holder, points, how) {
  const { x, y } = how, place = (value, [low, high], size) => size * (value - low) / (high - low);
  const across = (value) => place(value, x.span, WIDE), up = (value) => HIGH - place(value, y.span, HIGH);
  const lines = (how.lines || []).map(([kind, x0, y0, x1, y1]) =>
    `<path class="${kind}" d="M${across(x0)} ${up(y0)}L${across(x1)} ${up(y1)}"/>`).join("");
  const dots = points.map((one) => `M${across(one.x).toFixed(1)} ${up(one.y).toFixed(1)}h0`).join("");
  holder.innerHTML = `<div class="unit"></div><div class="plot"><svg viewBox="0 0 ${WIDE} ${HIGH}"
    preserveAspectRatio="none" role="img">${lines}<path class="points" d="${dots}"/></svg></div><div class="axis"></div>`;
  const [unit, plot, axis] = holder.children;
  unit.textContent = y.words;
  axis.textContent = x.words;
  plot.firstChild.setAttribute("aria-label", how.words);
  for (const [value, words] of x.ticks) label(plot, "x", "left", place(value, x.span, 100), words);
  for (const [value, words] of y.ticks) label(plot, "y", "bottom", place(value, y.span, 100), words);
  for (const [value, words] of how.named || []) label(plot, "mean", "bottom", place(value, y.span, 100), words);
  listen(plot, (event, box) => {
    let best = null, least = NEAR;
    for (const one of points) {
      const left = across(one.x) / WIDE * box.width, top = up(one.y) / HIGH * box.height;
      const far = Math.hypot(left - (event.clientX - box.left), top - (event.clientY - box.top));
      if (far < least) { least = far; best = [one, left, top]; }
    }
    if (best === null) return;
    put(plot, "ring", best[1], best[2]);
    say(event, best[0].words());
  });
}

function label(plot, kind, side, percent, words) {
  const one = document.createElement("span");
  one.className = kind;
  one.style[side] = `${percent.toFixed(2)}%`;
  one.textContent = words;
  plot.append(one);
}

const plain = (first, last, most) => ticks(first, last, most).map((one) => [one, String(one)]);

function wordsOf(table, [record, window, start, seconds, truth, rate]) {
  const subject = data.subjects[record] === data.recordings[record] ? "" : ` (${data.subjects[record]})`;
  const part = `${number(start)} to ${number(start + seconds)} s`;
  return `${data.recordings[record]}${subject}\nwindow ${window}, ${part}\ntrue ${truth.toFixed(2)}, predicted `
    + `${rate.toFixed(2)} ${table.unit}\nerror ${signed(rate - truth)} ${table.unit}`;
}

function agreement(table) {
  const both = table.rows.map((row) => ({ row, words: () => wordsOf(table, row), truth: row[4], rate: row[5] }));
  const all = span(both.flatMap((one) => [one.truth, one.rate]));
  draw(document.getElementById("scatter"), both.map((one) => ({ ...one, x: one.truth, y: one.rate })), {
    words: "predicted over true rate", lines: [["zero", all[0], all[0], all[1], all[1]]],
    x: { span: all, ticks: plain(...all, 8), words: `true rate [${table.unit}]` },
    y: { span: all, ticks: plain(...all, 6), words: `predicted rate [${table.unit}]` },
  });
  const off = both.map((one) => one.rate - one.truth);
  const [bias, ...limits] = table.agreement.filter((one) => one !== null);
  const middle = both.map((one) => (one.rate + one.truth) / 2), x = span(middle), y = span([...off, ...limits, 0]), drawn = bias === undefined ? [] : [bias];
  draw(document.getElementById("difference"), both.map((one, k) => ({ ...one, x: middle[k], y: off[k] })), {
    words: "difference over mean of both rates",
    lines: [...drawn.map((one) => ["zero", x[0], one, x[1], one]), ...limits.map((one) => ["limit", x[0], one, x[1], one])],
    named: [...drawn.map((one) => [one, `bias ${signed(one)}`]), ...limits.map((one) => [one, signed(one)])],
    x: { span: x, ticks: plain(...x, 8), words: `mean of both rates [${table.unit}]` },
    y: { span: y, ticks: plain(...y, 6), words: `predicted - true [${table.unit}]` },
  });
}

const bent = (value) => Math.sign(value) * (Math.abs(value) <= 5 ? Math.abs(value) / 5 : 1 + Math.log10(Math.abs(value) / 5));

function byRecording(table) {
  const present = [...new Set(table.rows.map((row) => row[0]))].sort((a, b) => a - b);
  const column = new Map(present.map((record, place) => [record, place + 1]));
  const points = table.rows.map((row) => ({
    x: column.get(row[0]), y: bent(row[5] - row[4]), words: () => wordsOf(table, row) }));
  const y = span([...points.map((one) => one.y), -1, 1]), x = [0.5, present.length + 0.5];
  const marks = [-100, -50, -20, -10, -5, -2, 0, 2, 5, 10, 20, 50, 100].map((one) => [bent(one), String(one)]);
  draw(document.getElementById("recordings"), points, {
    words: "error of every window by recording", lines: [["zero", x[0], 0, x[1], 0]],
    x: { span: x, ticks: plain(1, Math.max(present.length, 2), 10).filter(([one]) => Number.isInteger(one) && one <= present.length),
      words: "recording, in natural order" },
    y: { span: y, ticks: marks.filter(([one]) => one >= y[0] && one <= y[1]), words: `predicted - true [${table.unit}]` },
  });
  listRecordings(table, present);
}

function listRecordings(table, present) {
  const body = document.getElementById("every").tBodies[0], own = new Map(present.map((record) => [record, []]));
  for (const row of table.rows) own.get(row[0]).push(row);
  document.getElementById("more").hidden = present.length <= LISTED;
  body.replaceChildren(...present.slice(0, LISTED).map((record) => {
    const rows = own.get(record), row = document.createElement("tr");
    const truth = mean(rows.map((one) => one[4])), rate = mean(rows.map((one) => one[5]));
    const error = mean(rows.map((one) => Math.abs(one[5] - one[4])));
    const cell = (words, value) => {
      const one = row.insertCell();
      one.textContent = words;
      if (value !== undefined) one.dataset.v = value;
    };
    cell(data.recordings[record]);
    cell(data.subjects[record]);
    for (const value of [rows.length, truth, rate, error]) cell(Number.isInteger(value) ? value : value.toFixed(2), value);
    return row;
  }));
}

function choose() {
  const table = data.tables[Number(document.getElementById("method").value)];
  agreement(table);
  byRecording(table);
}

document.querySelectorAll("table.sort").forEach(sortable);
document.querySelectorAll(".plot[data-x]").forEach(still);
if (data.tables.length) {
  document.getElementById("method").addEventListener("change", choose);
  choose();
}
