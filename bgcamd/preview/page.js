// The controls: they show what the daemon says once a second, and say to the daemon what was pressed.

import { Changes, Refused, get, post, upload } from "./link.js";
import { Picture } from "./picture.js";

const MOST_BYTES = 64 * 2 ** 20;
const STATES = {
  live: "Live", paused: "Paused", idle: "Starting the camera …", waiting: "Waiting for the camera", hidden: "Picture hidden",
};
const EDGES = { feather: 0, shift: 0, threshold: 50, smooth: 90, light_wrap: 0 };
const FIGURES = ["camera", "output", "size", "model", "engine", "why", "quality", "progress", "memory", "frames", "dropped", "version"];

const $ = (selector) => document.querySelector(selector);
const touched = new Map(); // inputs that the user moves, and until when what the daemon says does not move them
const tiles = new Map(); // what was made for each background, by id

let status = null;
let choices = { backgrounds: [], current: null };
let shownScene = "";
let busy = 0;

const picture = new Picture($("#picture"), drawn, hindered);
const changes = new Changes((change) => act(() => post("set", change)));

// What the daemon says.

async function poll() {
  try {
    render(await get("status").then((found) => found.status));
  } catch (error) {
    lost(error);
  }
}

function render(found) {
  if (!status) picture.again(); // it is back
  status = found;
  const { state, scene } = found;
  say(STATES[state] ?? state, state === "live" ? "live" : "waits");
  $("#pause").textContent = state === "paused" ? "Resume" : "Pause";
  $("#pause").classList.toggle("on", state === "paused");
  press("#mirror", scene.mirror);
  press("#keep", scene.background === "keep");
  press("#blurred", scene.background === "blur");
  press("#remove", scene.background === "remove");
  if (scene.background === "blur") slide("blur", scene.blur);
  if (scene.background === "color") slide("colour", scene.color);
  for (const [name, usual] of Object.entries(EDGES)) slide(name, scene[name] ?? usual);
  slide("fit", scene.fit);
  $("#pace").textContent = state === "live" ? `${figure(found.fps)} fps, ${figure(found.age_ms?.p50)} ms delay` : "";
  list($("#problems"), found.problems ?? [], problem);
  renderFigures(found);
  const now = JSON.stringify(scene);
  if (now !== shownScene) {
    shownScene = now;
    offer();
  }
}

function renderFigures(found) {
  const rows = FIGURES.filter((name) => found[name] || found[name] === 0).map((name) => [name, found[name]]);
  const stages = Object.entries(found.stages ?? {}).map(([name, { wall_p50 }]) => `${name} ${figure(wall_p50)}`);
  if (stages.length) rows.push(["stages", `${stages.join(", ")} ms`]);
  list($("#figures"), rows, ([name, value]) => {
    const row = element("div", {});
    row.append(element("dt", { textContent: name }), element("dd", { textContent: value }));
    return row;
  });
}

// What to choose from is asked for when it may have changed: the scene did, or the user comes back from elsewhere.
async function offer() {
  try {
    choices = await get("backgrounds");
  } catch {
    return; // poll says what is wrong
  }
  const files = choices.backgrounds.filter(({ kind }) => kind === "picture" || kind === "clip");
  const colours = choices.backgrounds.filter(({ kind }) => kind === "color");
  arrange($("#pictures"), files, fileTile);
  arrange($("#colours"), colours, swatch);
  for (const { id } of choices.backgrounds) {
    tiles.get(id)?.matches("button")
      ? tiles.get(id).setAttribute("aria-pressed", id === choices.current)
      : tiles.get(id)?.querySelector(".tile").setAttribute("aria-pressed", id === choices.current);
  }
  $(".any").classList.toggle("chosen", status?.scene.background === "color" && choices.current === null);
}

// Puts what stands for the offers before the last child of a box; what is no longer offered goes.
function arrange(box, offers, make) {
  const ids = new Set(offers.map(({ id }) => id));
  for (const child of [...box.children]) {
    if (child.dataset.id && !ids.has(child.dataset.id)) {
      tiles.delete(child.dataset.id);
      child.remove();
    }
  }
  const last = box.lastElementChild;
  let place = box.firstElementChild;
  for (const offered of offers) {
    if (!tiles.has(offered.id)) tiles.set(offered.id, make(offered));
    const tile = tiles.get(offered.id);
    tile.dataset.id = offered.id;
    if (tile !== place) box.insertBefore(tile, place ?? last);
    else place = place.nextElementSibling;
  }
}

function fileTile({ id, name, kind, recent }) {
  const face = element("img", { className: "face", alt: "", src: `thumbnail?choice=${encodeURIComponent(id)}`, loading: "lazy" });
  const button = element("button", { type: "button", className: `tile ${kind}`, title: name });
  button.append(face, element("span", { textContent: name }));
  button.addEventListener("click", () => act(() => post("set", { choice: id })));
  const holder = element("div", { className: "holder" });
  holder.append(button);
  if (recent) {
    const forget = element("button", { type: "button", className: "forget", textContent: "×", ariaLabel: `Forget ${name}` });
    forget.addEventListener("click", () => act(() => post(`forget?choice=${encodeURIComponent(id)}`)).then(offer));
    holder.append(forget);
  }
  return holder;
}

function swatch({ id, name, color }) {
  const button = element("button", { type: "button", className: "swatch", title: name, ariaLabel: name });
  button.style.background = color;
  button.addEventListener("click", () => act(() => post("set", { choice: id })));
  return button;
}

// What the user does.

async function act(ask) {
  busy += 1;
  try {
    await ask();
    complain(null);
  } catch (error) {
    complain(error);
  }
  busy -= 1;
  if (!busy) await poll();
}

function complain(error) {
  $("#alert").hidden = error === null;
  if (error !== null) $("#alert p").textContent = [error.message, error.hint].filter(Boolean).join("\n");
}

async function show(file) {
  if (file.size > MOST_BYTES) {
    const hint = "bgcam set --replace=FILE takes larger ones";
    return complain(new Refused(`${file.name} is larger than ${MOST_BYTES / 2 ** 20} MiB`, hint));
  }
  const bar = $("#notice progress");
  const tell = (share) => {
    $("#doing").textContent = share < 1 ? `Sending ${file.name} …` : `Making ${file.name} ready …`;
    if (share < 1) bar.value = share;
    else bar.removeAttribute("value");
  };
  tell(0);
  $("#notice").hidden = false;
  await act(() => upload(file, tell));
  $("#notice").hidden = true;
  $("#doing").textContent = "";
}

$("#pause").addEventListener("click", () => act(() => post(status?.state === "paused" ? "resume" : "pause")));
$("#mirror").addEventListener("click", () => act(() => post("set", { mirror: !status?.scene.mirror })));
$("#keep").addEventListener("click", () => act(() => post("set", { keep: true })));
$("#remove").addEventListener("click", () => act(() => post("set", { remove: true })));
$("#blurred").addEventListener("click", () => act(() => post("set", { blur: Number($("#blur").value) })));
$("#usual").addEventListener("click", () => {
  touched.clear();
  act(() => post("set", EDGES));
});
$("#alert button").addEventListener("click", () => complain(null));

for (const input of document.querySelectorAll("#blur, .edge")) {
  input.addEventListener("input", () => {
    hold(input);
    tellValue(input);
    changes.later({ [input.id]: Number(input.value) });
  });
}
$("#colour").addEventListener("input", ({ target }) => {
  hold(target);
  changes.later({ color: target.value });
});
$("#fit").addEventListener("change", ({ target }) => act(() => post("set", { fit: target.value })));

$("#compare").addEventListener("click", ({ currentTarget }) => {
  const wanted = currentTarget.getAttribute("aria-pressed") !== "true";
  currentTarget.setAttribute("aria-pressed", wanted);
  $("#divide").hidden = !wanted;
  picture.compare(wanted);
  if (wanted) $("#divide").focus();
});
$("#divide").addEventListener("input", ({ target }) => picture.divide(target.value / 100));

$("#add").addEventListener("click", () => $("#file").click());
$("#file").addEventListener("change", ({ target }) => {
  if (target.files.length) show(target.files[0]);
  target.value = "";
});
document.addEventListener("paste", ({ clipboardData }) => {
  if (clipboardData.files.length) show(clipboardData.files[0]);
});

let inside = 0; // how many elements that the pointer has entered with a file it has not left
const brings = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragenter", (event) => {
  if (brings(event)) $("#drop").hidden = ++inside < 1;
});
document.addEventListener("dragleave", (event) => {
  if (brings(event)) $("#drop").hidden = --inside < 1;
});
document.addEventListener("dragover", (event) => {
  if (!brings(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
});
document.addEventListener("drop", (event) => {
  if (!brings(event)) return;
  event.preventDefault();
  inside = 0;
  $("#drop").hidden = true;
  if (event.dataTransfer.files.length) show(event.dataTransfer.files[0]);
});

// How it looks.

function drawn(number, hasBefore) {
  if (status) $("#cover").hidden = true;
  $("#picture").dataset.number = number;
  for (const tag of document.querySelectorAll(".tag")) tag.hidden = !hasBefore;
}

// The pictures have ended; where the daemon still answers, it says why.
function hindered(error) {
  if (status && error instanceof Refused) cover([error.message, error.hint].filter(Boolean).join("\n"));
  poll();
}

function lost(error) {
  status = null;
  shownScene = "";
  $("#pace").textContent = "";
  list($("#problems"), [], problem);
  const daemon = error instanceof Refused;
  say(daemon ? "bgcamd does not answer" : "Disconnected", "lost");
  cover(
    daemon
      ? `${[error.message, error.hint].filter(Boolean).join("\n")}\nThis page goes on by itself when it is back.`
      : "The program that serves this page has ended.\nStart it again, with `bgcam preview`, and open its new address.",
  );
}

function cover(text) {
  $("#cover").textContent = text;
  $("#cover").hidden = false;
}

function say(text, kind) {
  $("#state").className = kind;
  if ($("#state .text").textContent !== text) $("#state .text").textContent = text;
}

function press(selector, pressed) {
  $(selector).setAttribute("aria-pressed", pressed);
}

function hold(input) {
  touched.set(input.id, performance.now() + 1500);
}

function slide(id, value) {
  const input = document.getElementById(id);
  if ((touched.get(id) ?? 0) > performance.now() || input.value === String(value)) return;
  input.value = value;
  tellValue(input);
}

function tellValue(input) {
  const output = $(`output[for="${input.id}"]`);
  if (output) output.textContent = input.value;
}

function list(box, texts, make) {
  if (box.dataset.shown === JSON.stringify(texts)) return;
  box.dataset.shown = JSON.stringify(texts);
  box.replaceChildren(...texts.map(make));
}

function problem(text) {
  return element("li", { textContent: text });
}

function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

function figure(value) {
  return typeof value === "number" ? value.toFixed(value < 10 ? 1 : 0) : "–";
}

window.addEventListener("focus", offer);
document.addEventListener("visibilitychange", () => document.hidden || poll());
setInterval(() => document.hidden || busy || poll(), 1000);
poll();
