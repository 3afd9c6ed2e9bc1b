// The live page: camera pictures to the server beside it, what it says onto the screen. Nothing is kept.
"use strict";

const SIDE = 72; // pixels of the region that is sent, as the server reads it
const HEADER = 24; // bytes before the content of a message
const PIXELS = 1, PICTURE = 2;
const PICTURE_EVERY = 500, KNOWN_EVERY = 1000; // ms between looks for the face, and for one that is known
const PICTURE_SIDE = 320; // longer side of the picture in which the face is looked for
const MOST_WAITING = 4; // messages without an answer; more would be old before they are read
const SILENT = 5000; // ms without a picture after which the camera is opened again
const REOPEN = 2; // times in a row
const SHOWN = 6; // s of the wave
const DELAYS = 150; // that are kept

const $ = (id) => document.getElementById(id);
const crop = $canvas(SIDE, SIDE), picture = $canvas(1, 1);
let run = null; // what there is while the camera is on

function $canvas(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
  context.imageSmoothingQuality = "high"; // each pixel a mean: less noise
  return { canvas, context };
}

// --- The camera ----------------------------------------------------------------------------------------------------

const PROBLEMS = {
  NotAllowedError: "The browser may not use the camera. Allow it beside the address, then start again.",
  NotFoundError: "There is no camera. Connect one, then start again.",
  NotReadableError: "The camera is used by another program. Close that, then start again.",
  OverconstrainedError: "This camera is no longer there. Choose another one.",
};

async function start(device, again = 0) {
  stop("");
  const problem = unfit();
  if (problem) return say(problem, true);
  $("start").disabled = true;
  say("Waiting for the camera. Your browser may ask whether this page may use it.");
  try {
    const size = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
    const which = device ? { deviceId: { exact: device } } : { facingMode: "user" };
    const stream = await navigator.mediaDevices.getUserMedia({ video: { ...size, ...which }, audio: false });
    await opened(stream, again);
  } catch (error) {
    say(PROBLEMS[error.name] || `The camera cannot be used (${error.name}).`, true);
  }
  $("start").disabled = false;
}

function unfit() {
  if (!("requestVideoFrameCallback" in HTMLVideoElement.prototype)) {
    return "This browser does not tell when a picture was taken. A newer one does.";
  }
  if (!navigator.mediaDevices) return "This browser gives a page no camera here. Open the address on the machine itself.";
  crop.context.fillStyle = "rgb(180, 120, 60)";
  crop.context.fillRect(0, 0, SIDE, SIDE);
  const seen = crop.context.getImageData(0, 0, SIDE, SIDE).data;
  for (let at = 0; at < seen.length; at += 4) {
    if (seen[at] !== 180 || seen[at + 1] !== 120 || seen[at + 2] !== 60) {
      return "This browser changes the colours that a page reads (a guard against fingerprinting). Switch that off for this page.";
    }
  }
  return "";
}

async function opened(stream, again) {
  const track = stream.getVideoTracks()[0];
  const socket = new WebSocket(new URL("frames", location.href.replace(/^http/, "ws")));
  socket.binaryType = "arraybuffer";
  const mine = {
    stream, track, socket, sequence: 0, answered: 0, region: null, face: null, number: 0, taken: new Map(), delays: [],
    pictured: -Infinity, wave: null, drawn: 0, seen: performance.now(), again, skipped: 0, clock: "",
  };
  run = mine;
  track.onended = () => run === mine && restart(mine, "The camera was taken away.");
  socket.onmessage = (event) => run === mine && heard(JSON.parse(event.data));
  socket.onclose = (event) => run === mine && stop(closed(event), true);
  mine.guard = setInterval(() => watch(mine), 500);
  const video = $("video");
  video.srcObject = stream;
  await video.play().catch(() => {}); // a tab in the background plays once it is looked at
  if (run !== mine) return;
  const each = (now, meta) => {
    if (run !== mine) return;
    video.requestVideoFrameCallback(each);
    took(mine, now, meta);
  };
  video.requestVideoFrameCallback(each);
  $("stage").style.aspectRatio = `${video.videoWidth || 4} / ${video.videoHeight || 3}`;
  $("blank").hidden = $("start").hidden = true;
  $("stop").hidden = false;
  say("Looking for the face.");
  await list(track);
}

async function list(track) {
  const found = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput");
  const used = track.getSettings().deviceId;
  $("choice").hidden = found.length < 2;
  $("cameras").replaceChildren(
    ...found.map((one, at) => new Option(one.label || `camera ${at + 1}`, one.deviceId, false, one.deviceId === used)),
  );
}

function closed(event) {
  if (event.code === 1008) return `The server refused what this page sent: ${event.reason || "no reason given"}.`;
  if (event.code === 1013) return `${event.reason}. Close one of them.`;
  return "PulseScope has ended, or no longer answers. Start it again in its terminal and open the new address.";
}

function stop(words, problem = false) {
  const mine = run;
  run = null;
  if (mine) {
    clearInterval(mine.guard);
    mine.track.onended = null;
    mine.stream.getTracks().forEach((track) => track.stop());
    mine.socket.close();
  }
  $("video").srcObject = null;
  $("blank").hidden = $("start").hidden = false;
  $("stop").hidden = $("choice").hidden = true;
  $("numbers").textContent = "\u00a0";
  forget();
  drawBoxes(null);
  drawWave(null);
  if (words) say(words, problem);
}

function restart(mine, words) {
  if (mine.again >= REOPEN) return stop(`${words} Connect it again, then start.`, true);
  start(mine.track.getSettings().deviceId, mine.again + 1);
}

function watch(mine) {
  const now = performance.now();
  if (document.hidden) {
    mine.seen = now;
  } else if (now - mine.seen > SILENT) {
    restart(mine, "The camera gives no pictures.");
  }
}

// --- Pictures to the server ----------------------------------------------------------------------------------------

function took(mine, now, meta) {
  const time = timeOf(mine, now, meta), video = $("video"), width = video.videoWidth, height = video.videoHeight;
  mine.seen = performance.now();
  if (mine.sequence > 100) mine.again = 0;
  if (time === null || !width || mine.socket.readyState !== WebSocket.OPEN) return;
  if (mine.sequence - mine.answered > MOST_WAITING || mine.socket.bufferedAmount > 2 * SIDE * SIDE * 3) {
    mine.skipped += 1;
    return;
  }
  if (time - mine.pictured >= (mine.region ? KNOWN_EVERY : PICTURE_EVERY)) sendPicture(mine, time, video, width, height);
  if (mine.region) sendPixels(mine, time, video, width, height);
}

// When the picture was taken (ms, of this page's clock): as the camera has it, or else when the browser got it.
function timeOf(mine, now, meta) {
  mine.clock ||= meta.captureTime !== undefined ? "camera" : "browser";
  if (mine.clock === "browser") return now;
  return meta.captureTime !== undefined ? meta.captureTime : null;
}

function sendPixels(mine, time, video, width, height) {
  const [x, y, w, h] = mine.region;
  crop.context.drawImage(video, x * width, y * height, w * width, h * height, 0, 0, SIDE, SIDE);
  const rgba = crop.context.getImageData(0, 0, SIDE, SIDE).data;
  const message = new Uint8Array(HEADER + 3 * SIDE * SIDE);
  for (let from = 0, to = HEADER; from < rgba.length; from += 4, to += 3) {
    message[to] = rgba[from];
    message[to + 1] = rgba[from + 1];
    message[to + 2] = rgba[from + 2];
  }
  send(mine, PIXELS, time, width, height, message);
}

function sendPicture(mine, time, video, width, height) {
  mine.pictured = time;
  const scale = Math.min(1, PICTURE_SIDE / Math.max(width, height));
  const size = [Math.max(16, Math.round(scale * width)), Math.max(16, Math.round(scale * height))];
  if (picture.canvas.width !== size[0] || picture.canvas.height !== size[1]) {
    [picture.canvas.width, picture.canvas.height] = size;
    picture.context.imageSmoothingQuality = "high";
  }
  picture.context.drawImage(video, 0, 0, ...size);
  picture.canvas.toBlob(async (blob) => {
    if (!blob) return;
    const content = new Uint8Array(await blob.arrayBuffer());
    if (run !== mine) return;
    const message = new Uint8Array(HEADER + content.length);
    message.set(content, HEADER);
    send(mine, PICTURE, time, width, height, message);
  }, "image/jpeg", 0.85);
}

function send(mine, kind, time, width, height, message) {
  if (mine.socket.readyState !== WebSocket.OPEN) return;
  const head = new DataView(message.buffer);
  mine.sequence += 1;
  head.setUint8(0, 1);
  head.setUint8(1, kind);
  head.setUint32(4, mine.sequence, true);
  head.setUint32(8, mine.number, true);
  head.setFloat64(12, time, true);
  head.setUint16(20, width, true);
  head.setUint16(22, height, true);
  mine.taken.set(mine.sequence, time);
  mine.socket.send(message);
}

// --- What the server says ------------------------------------------------------------------------------------------

function heard(told) {
  const mine = run, time = mine.taken.get(told.sequence);
  mine.answered = Math.max(mine.answered, told.sequence);
  for (const sequence of mine.taken.keys()) if (sequence <= told.sequence) mine.taken.delete(sequence);
  if ("region" in told) {
    mine.region = told.region;
    mine.face = told.face;
    mine.number = told.number;
    if (!told.region) mine.wave = null;
  }
  if (told.wave) mine.wave = { values: told.wave, step: told.step, time };
  if (told.state) show(told.state, mine);
  if (!mine.drawn) mine.drawn = requestAnimationFrame(() => draw(mine));
}

function draw(mine) {
  mine.drawn = 0;
  if (run !== mine) return;
  drawBoxes(mine);
  drawWave(mine.wave);
  if (mine.wave && mine.wave.time !== undefined) {
    mine.delays.push(performance.now() - mine.wave.time);
    if (mine.delays.length > DELAYS) mine.delays.shift();
    mine.wave.time = undefined;
  }
}

function show(state, mine) {
  const known = state.rate !== null && state.rate !== undefined;
  $("bpm").textContent = known ? state.rate.toFixed(0) : "–";
  $("interval").textContent = known ? `${state.low.toFixed(0)} to ${state.high.toFixed(0)} bpm` : "\u00a0";
  $("confidence").value = state.confidence || 0;
  $("method").textContent = state.method;
  $("confidence").low = $("confidence").high = state.needed;
  $("confidence-number").textContent = state.confidence === undefined ? "–" : state.confidence.toFixed(2);
  $("answer").dataset.reliable = Boolean(state.reliable);
  const lines = state.advice.map((line) => Object.assign(document.createElement("li"), { textContent: line }));
  if ($("advice").textContent !== state.advice.join("")) $("advice").replaceChildren(...lines);
  if (!document.hidden) say(words(state), state.reliable === false && !state.advice.length);
  const delays = [...mine.delays].sort((a, b) => a - b);
  const delay = delays.length ? `${delays[delays.length >> 1].toFixed(0)} ms from picture to plot, ` : "";
  const fps = state.fps ? `${state.fps.toFixed(1)} pictures per second, ` : "";
  const skipped = mine.skipped ? `, ${mine.skipped} pictures left out` : "";
  $("numbers").textContent = `${fps}${delay}times of the ${mine.clock}${skipped}. Exposure and white balance are the camera's own.`;
}

function words(state) {
  if (!state.face && state.seconds === 0) return "Looking for the face.";
  if (state.reliable) return "A reliable pulse.";
  if (state.reliable === undefined) return `Measuring: ${Math.min(5, state.seconds).toFixed(0)} of the first 5 s. Hold still.`;
  if (state.advice.length) return "No reliable pulse yet. What would help:";
  return `No reliable pulse yet: ${state.reason}.`;
}

function say(text, warn = false) {
  if ($("said").textContent !== text) $("said").textContent = text;
  $("said").classList.toggle("warn", warn);
}

function forget() {
  $("bpm").textContent = $("confidence-number").textContent = "–";
  $("interval").textContent = "\u00a0";
  $("confidence").value = 0;
  $("advice").replaceChildren();
  delete $("answer").dataset.reliable;
}

// --- Drawing -------------------------------------------------------------------------------------------------------

function fitted(canvas) {
  const scale = devicePixelRatio || 1, width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height, scale };
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function drawBoxes(mine) {
  const { context, width, height, scale } = fitted($("boxes"));
  if (!mine || !mine.face) return;
  const lines = [[mine.face, "#ffffffb0", 1.5], [mine.region, "#ff5a50", 2.5]];
  for (const [box, ink, thick] of lines) {
    if (!box) continue;
    context.strokeStyle = ink;
    context.lineWidth = thick * scale;
    context.strokeRect(box[0] * width, box[1] * height, box[2] * width, box[3] * height);
  }
}

function drawWave(wave) {
  const { context, width, height, scale } = fitted($("wave"));
  context.strokeStyle = colour("--rule");
  context.lineWidth = scale;
  context.beginPath();
  for (let second = 0; second <= SHOWN; second += 1) {
    const x = Math.min(width - 1, Math.max(1, (second / SHOWN) * width));
    context.moveTo(x, 0);
    context.lineTo(x, height);
  }
  context.stroke();
  if (!wave) return;
  const { values, step } = wave, across = (step / 1000 / SHOWN) * width;
  let most = 100;
  for (const value of values) most = Math.max(most, Math.abs(value));
  context.strokeStyle = colour("--pulse");
  context.lineWidth = 2 * scale;
  context.lineJoin = "round";
  context.beginPath();
  values.forEach((value, at) => {
    const x = width - (values.length - 1 - at) * across, y = height / 2 - (0.45 * height * value) / most;
    at ? context.lineTo(x, y) : context.moveTo(x, y);
  });
  context.stroke();
}

// --- The person ----------------------------------------------------------------------------------------------------

$("start").addEventListener("click", () => start());
$("stop").addEventListener("click", () => stop("The camera is off. Nothing was kept."));
$("cameras").addEventListener("change", (event) => start(event.target.value));
document.addEventListener("visibilitychange", () => {
  if (run && document.hidden) say("Paused: this tab is hidden.");
});
addEventListener("pagehide", () => stop(""));
addEventListener("resize", () => (run ? draw(run) : drawWave(null)));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawWave(run && run.wave));
drawWave(null);
