// The live picture: JPEGs over one response that does not end, the newest drawn, before and after beside a line.

import { refusal } from "./link.js";

const HEAD = 12; // bytes: the picture's number, its length, the length of the one before; big-endian
const SILENT_MS = 8000;
const LONGEST_MS = 4000;

// Takes so many bytes at a time from a response's body.
class Bytes {
  constructor(body) {
    this.reader = body.getReader();
    this.chunk = new Uint8Array(0);
  }

  async take(count) {
    const taken = new Uint8Array(count);
    for (let at = 0; at < count; ) {
      if (!this.chunk.length) {
        const { done, value } = await this.reader.read();
        if (done) throw new Error("the pictures ended");
        this.chunk = value;
      }
      const part = this.chunk.subarray(0, count - at);
      taken.set(part, at);
      at += part.length;
      this.chunk = this.chunk.subarray(part.length);
    }
    return taken;
  }
}

export class Picture {
  // told: is called with the number of each picture that was drawn, and whether there is one of before.
  // failed: is called with what hinders, each time that the pictures end.
  constructor(canvas, told, failed) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.told = told;
    this.failed = failed;
    this.compares = false;
    this.place = 0.5;
    this.newest = null;
    this.drawing = false;
    this.after = this.before = null;
    document.addEventListener("visibilitychange", () => this.again());
    this.run();
  }

  compare(wanted) {
    this.compares = wanted;
    this.again();
  }

  divide(place) {
    this.place = place;
    this.paint();
  }

  // Begin anew: other pictures are wanted, or none, or they may be there again.
  again() {
    this.abort?.abort();
    this.wake?.();
  }

  // Whoever looks keeps the camera on, so a page that nobody sees does not.
  async run() {
    for (let delay = 250; ; delay = Math.min(delay * 2, LONGEST_MS)) {
      if (!document.hidden) {
        const begun = performance.now();
        await this.watch().catch((error) => error.name === "AbortError" || this.failed(error));
        if (performance.now() - begun > LONGEST_MS || this.abort.signal.aborted) delay = 125;
      }
      await this.pause(document.hidden ? 2 ** 30 : delay);
    }
  }

  pause(milliseconds) {
    return new Promise((resolve) => {
      this.wake = resolve;
      setTimeout(resolve, milliseconds);
    });
  }

  async watch() {
    const abort = (this.abort = new AbortController());
    let timer = setTimeout(() => abort.abort(), SILENT_MS);
    try {
      const path = this.compares ? "pictures?before=1" : "pictures";
      const response = await fetch(path, { signal: abort.signal, cache: "no-store" });
      if (!response.ok) throw await refusal(response);
      const bytes = new Bytes(response.body);
      for (;;) {
        const head = new DataView((await bytes.take(HEAD)).buffer);
        const picture = await bytes.take(head.getUint32(4));
        const before = await bytes.take(head.getUint32(8));
        clearTimeout(timer);
        timer = setTimeout(() => abort.abort(), SILENT_MS);
        this.newest = { number: head.getUint32(0), picture, before };
        this.draw();
      }
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
  }

  // Decoding is slower than reading now and then: then pictures are skipped, never queued.
  async draw() {
    if (this.drawing) return;
    this.drawing = true;
    while (this.newest) {
      const { number, picture, before } = this.newest;
      this.newest = null;
      try {
        const seen = await Promise.all([decoded(picture), before.length ? decoded(before) : null]);
        this.after?.close();
        this.before?.close();
        [this.after, this.before] = seen;
        this.paint();
        this.told(number, this.before !== null);
      } catch (error) {
        this.failed(error);
      }
    }
    this.drawing = false;
  }

  paint() {
    const { canvas, context, after, before } = this;
    if (!after) return;
    const { width, height } = after;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.drawImage(after, 0, 0);
    if (!before || !this.compares) return;
    const line = Math.round(width * this.place);
    if (line > 0) context.drawImage(before, 0, 0, line, height, 0, 0, line, height);
    context.fillStyle = "#fff";
    context.fillRect(line - 1, 0, Math.max(2, width / 480), height);
  }
}

function decoded(jpeg) {
  return createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
}
