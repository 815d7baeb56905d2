import { Link } from "./link.js";

const BITS_AT_FIRST = 2000, BITS_AT_MOST = 6000; // thousands a second
const picture = document.getElementById("picture");
const camera = document.getElementById("camera");
const start = document.getElementById("start");
const status = document.getElementById("status");
const row = document.getElementById("row");
let track = null;
let sender = null;
let asking = false; // a button that is disabled meanwhile would lose the keyboard

const WRONG = {
  NotAllowedError: "The browser may not use the camera. Allow it in the browser’s settings of this page.",
  NotFoundError: "This machine has no camera that the browser sees.",
  NotReadableError: "The camera can’t be read. Does another program have it?",
};

function tell(state, text) {
  row.className = `row ${state}`;
  if (status.textContent !== text) status.textContent = text; // a screen reader says it once
}

function prepare(connection) {
  ({ sender } = connection.addTransceiver(track, { direction: "sendonly", sendEncodings: [{ maxBitrate: BITS_AT_MOST * 1000 }] }));
}

// Chromium begins at 300 kbit/s, and so with a small picture, unless it is told better.
function improve(sdp) {
  const type = /^m=video \d+ \S+ (\d+)/m.exec(sdp)?.[1];
  const start = `x-google-start-bitrate=${BITS_AT_FIRST}`;
  const format = new RegExp(`^(a=fmtp:${type} [^\r\n]*)`, "m");
  if (format.test(sdp)) return sdp.replace(format, `$1;${start}`);
  return sdp.replace(new RegExp(`^(a=rtpmap:${type} [^\r\n]*\r\n)`, "m"), `$1a=fmtp:${type} ${start}\r\n`);
}

const traffic = (stats) => stats.type === "remote-inbound-rtp" ? stats.timestamp : 0; // bgcamd reports each second
const link = new Link({ prepare, tell, traffic, silent: 4000, improve, live: "Your camera is sent to bgcamd." });

async function open() {
  const chosen = camera.value ? { deviceId: { exact: camera.value } } : {};
  const wish = { ...chosen, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: wish });
  track?.stop();
  [track] = stream.getVideoTracks();
  track.contentHint = "motion";
  const mine = track;
  track.onended = () => track === mine && stop("The camera is gone. Nothing is sent.");
  picture.srcObject = stream;
  await list();
}

// The names are known once the camera may be used.
async function list() {
  const found = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind, deviceId }) => kind === "videoinput" && deviceId);
  const used = track?.getSettings().deviceId ?? camera.value;
  if (found.length) {
    camera.replaceChildren(...found.map(({ deviceId, label }, index) => new Option(label || `Camera ${index + 1}`, deviceId, false, deviceId === used)));
  }
}

async function begin() {
  if (asking) return;
  asking = true;
  tell("waiting", "Asking for the camera…");
  try {
    await open();
    start.textContent = "Stop";
    tell("waiting", "Connecting…");
    link.open();
  } catch (error) {
    tell("wrong", WRONG[error.name] ?? `The camera can’t be used: ${error.message}`);
  }
  asking = false;
}

function stop(text) {
  link.close();
  track?.stop();
  track = sender = picture.srcObject = null;
  start.textContent = "Start";
  tell("waiting", text);
}

async function change() {
  if (!track) return;
  try {
    await open();
    await sender?.replaceTrack(track);
  } catch (error) {
    stop(WRONG[error.name] ?? `The camera can’t be used: ${error.message}`);
  }
}

if (navigator.mediaDevices) {
  start.onclick = () => track ? stop("Nothing is sent.") : begin();
  camera.onchange = change;
  navigator.mediaDevices.ondevicechange = list;
  addEventListener("pagehide", () => track && stop("Nothing is sent."));
  list();
} else {
  start.disabled = camera.disabled = true;
  const local = `http://localhost:${location.port}${location.pathname}`;
  tell("wrong", `A browser gives its camera only to pages of its own machine, and of https. On bgcamd’s machine, open ${local}`);
}
