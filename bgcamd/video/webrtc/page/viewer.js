import { Link } from "./link.js";

const picture = document.getElementById("picture");
const status = document.getElementById("status");
const row = document.getElementById("row");

function tell(state, text) {
  row.className = `row ${state}`;
  if (status.textContent !== text) status.textContent = text; // a screen reader says it once
}

function prepare(connection) {
  const { receiver } = connection.addTransceiver("video", { direction: "recvonly" });
  if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0; // ms; the newest picture, not the smoothest
  connection.ontrack = ({ track }) => { picture.srcObject = new MediaStream([track]); };
}

const traffic = (stats) => stats.type === "inbound-rtp" ? stats.bytesReceived : 0;
const link = new Link({ prepare, tell, traffic, silent: 2500, live: "Live." });

document.getElementById("full").onclick = () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else (picture.requestFullscreen ?? picture.webkitEnterFullscreen)?.call(picture);
};

addEventListener("pagehide", () => link.close());
addEventListener("pageshow", ({ persisted }) => persisted && link.open());
link.open();
