// A connection to bgcamd that is made again whenever it is lost, until it is closed.

const FIRST_DELAY = 300, LONGEST_DELAY = 3000, GROWTH = 1.6; // ms
const DISCONNECTED = 2000, CONNECTING = 8000, LOOK = 500;

// Firefox pairs no address of its own with the loopback interface's, as long as media.peerconnection.ice.loopback is false.
const HOPELESS = /Firefox\//.test(navigator.userAgent) && /^(localhost|127\..*|\[::1\])$/.test(location.hostname);

export class Link {
  // prepare(connection): says what is sent or received. improve(sdp): changes our copy of bgcamd's answer.
  // tell(state, text): state is "live", "waiting" or "wrong". live: what it says when all is well.
  // traffic(stats): a number that grows while all is well; silent: for how long it may stand still, in ms.
  constructor({ prepare, tell, live, traffic, silent, improve = (sdp) => sdp }) {
    Object.assign(this, { prepare, tell, live, traffic, silent, improve });
    this.delay = FIRST_DELAY;
    this.wanted = false;
    addEventListener("online", () => this.wanted && !this.connection && this.connect());
    setInterval(() => this.check(), LOOK);
  }

  open() {
    this.wanted = true;
    this.connect();
  }

  close() {
    this.wanted = false;
    this.drop();
  }

  drop() {
    clearTimeout(this.timer);
    this.connection?.close();
    this.connection = null;
  }

  async connect() {
    this.drop();
    const connection = this.connection = new RTCPeerConnection({ iceServers: [] });
    this.seen = 0;
    this.heard = performance.now();
    connection.onconnectionstatechange = () => this.changed(connection);
    try {
      this.prepare(connection);
      await connection.setLocalDescription();
      const answer = await this.offer(connection.localDescription.sdp);
      if (this.connection === connection) await connection.setRemoteDescription(answer);
    } catch (error) {
      if (this.connection === connection) this.again(error instanceof Refused ? error.message : "bgcamd does not answer.");
    }
  }

  async offer(sdp) {
    const response = await fetch(`${location.pathname}/offer`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ type: "offer", sdp }),
      signal: AbortSignal.timeout(CONNECTING),
    });
    if (response.ok) {
      const answer = await response.json();
      return { type: "answer", sdp: this.improve(answer.sdp) };
    }
    const told = await response.json().catch(() => ({}));
    throw new Refused(response.status, told.error);
  }

  changed(connection) {
    if (this.connection !== connection) return;
    const state = connection.connectionState;
    if (state === "connected") {
      this.delay = FIRST_DELAY;
      this.tell("live", this.live);
    } else if (state === "failed" || state === "closed") {
      this.lost();
    } else if (state === "disconnected") {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => connection.connectionState !== "connected" && this.lost(), DISCONNECTED);
    }
  }

  // The browser notices late that the other side is gone: look whether anything moves.
  async check() {
    const connection = this.connection;
    if (!connection) return;
    let seen = 0;
    (await connection.getStats()).forEach((stats) => { seen += this.traffic(stats) ?? 0; });
    if (this.connection !== connection) return;
    const now = performance.now();
    if (seen !== this.seen) [this.seen, this.heard] = [seen, now];
    if (now - this.heard > (this.seen ? this.silent : CONNECTING)) this.lost();
  }

  lost() {
    if (HOPELESS && !this.seen) this.again("Firefox makes no WebRTC connection to its own machine: take another browser, or bgcam preview.");
    else this.again("The connection was lost.");
  }

  again(why) {
    this.drop();
    if (!this.wanted) return;
    this.tell("waiting", `${why} Trying again…`);
    this.timer = setTimeout(() => this.connect(), this.delay);
    this.delay = Math.min(this.delay * GROWTH, LONGEST_DELAY);
  }
}

class Refused extends Error {
  constructor(status, error) {
    if (status === 404) super("This address is no longer known to bgcamd.");
    else if (status === 503 && error) super(`${error[0].toUpperCase()}${error.slice(1)}.`);
    else super(`bgcamd refuses: ${error ?? status}.`);
  }
}
