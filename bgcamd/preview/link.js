// How the page asks its server: errors come as the daemon words them.

export class Refused extends Error {
  constructor(message, hint = "") {
    super(message);
    this.hint = hint;
  }
}

export async function get(path) {
  return answered(await fetch(path, { cache: "no-store" }));
}

export async function post(path, content) {
  const body = content === undefined ? undefined : JSON.stringify(content);
  return answered(await fetch(path, { method: "POST", body }));
}

export async function refusal(response) {
  const said = await response.json().catch(() => ({}));
  return new Refused(said.error ?? `The server answers ${response.status} ${response.statusText}`, said.hint);
}

async function answered(response) {
  if (!response.ok) throw await refusal(response);
  return response.json();
}

// fetch does not tell how much of a body has gone out; XMLHttpRequest does.
export function upload(file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `replace?name=${encodeURIComponent(file.name || "picture")}`);
    request.responseType = "json";
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.upload.onload = () => progress(1);
    request.onerror = () => reject(new Refused("The picture did not get through", "try again"));
    request.onload = () => {
      if (request.status === 200) return resolve(request.response);
      const said = request.response ?? {};
      reject(new Refused(said.error ?? `The server answers ${request.status}`, said.hint));
    };
    request.send(file);
  });
}

// Sends changes one at a time; those that come meanwhile are joined, so that the newest value of each wins.
export class Changes {
  constructor(done) {
    this.done = done;
    this.waiting = {};
    this.sending = false;
    this.timer = 0;
  }

  later(change) {
    Object.assign(this.waiting, change);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), 120);
  }

  async send() {
    if (this.sending || !Object.keys(this.waiting).length) return;
    const change = this.waiting;
    this.waiting = {};
    this.sending = true;
    await this.done(change);
    this.sending = false;
    this.send();
  }
}
