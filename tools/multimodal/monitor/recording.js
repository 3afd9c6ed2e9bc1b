// The page beside a recording: twice a second the recorder tells what there is; nothing is sent back.
"use strict";

const $ = (id) => document.getElementById(id);
const shown = new Map(); // device -> parts of its pulse
const socket = new WebSocket(new URL("frames", location.href.replace(/^http/, "ws")));

socket.onmessage = (event) => {
  const told = JSON.parse(event.data);
  $("seconds").textContent = told.seconds.toFixed(0);
  const room = told.minutes === null ? "" : `, room for ${told.minutes} minutes`;
  $("disk").textContent = `${told.mb_per_s.toFixed(1)} MB/s, ${told.free_gb.toFixed(1)} GB free${room}`;
  $("devices").replaceChildren(...told.devices.map(row));
  for (const [name, pulse] of Object.entries(told.pulses)) draw(name, pulse);
};

socket.onclose = (event) => {
  $("disk").textContent = event.reason || "The recording has ended, or the recorder no longer answers.";
};

function row(one) {
  const line = document.createElement("tr");
  const problems = one.ended || one.problems || "none";
  line.className = one.ended || one.problems ? "bad" : "";
  for (const text of [one.name, one.rate.toFixed(1), one.samples, one.offset_ms.toFixed(1), problems]) {
    const cell = document.createElement("td");
    cell.textContent = text;
    line.append(cell);
  }
  return line;
}

function draw(name, pulse) {
  if (!shown.size) $("pulses").replaceChildren();
  if (!shown.has(name)) shown.set(name, made(name));
  const { rate, note, canvas } = shown.get(name);
  rate.textContent = pulse.rate === null || pulse.rate === undefined ? "–" : pulse.rate.toFixed(0);
  note.textContent = [pulse.reason, ...(pulse.advice || [])].filter(Boolean).join(" ");
  const scale = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
  const context = canvas.getContext("2d"), wave = pulse.wave || [];
  if (wave.length < 2) return;
  const [low, high] = [Math.min(...wave), Math.max(...wave)];
  context.strokeStyle = getComputedStyle(canvas).color;
  context.lineWidth = 1.5 * scale;
  context.beginPath();
  wave.forEach((value, at) => {
    const x = (at / (wave.length - 1)) * canvas.width;
    const y = canvas.height * (0.95 - (0.9 * (value - low)) / (high - low || 1));
    if (at) context.lineTo(x, y);
    else context.moveTo(x, y);
  });
  context.stroke();
}

function made(name) {
  const line = document.createElement("div"), label = document.createElement("span"), words = document.createElement("span");
  const rate = document.createElement("b"), canvas = document.createElement("canvas"), note = document.createElement("p");
  line.className = "pulse";
  note.className = "note";
  label.textContent = name;
  words.append(rate, " bpm");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Pulse wave of ${name}, the last 6 seconds`);
  line.append(label, words, canvas, note);
  $("pulses").append(line);
  return { rate, note, canvas };
}
