/* The operator's status page: its figures are fetched again by htmx; the streaming test is here. */
import { Events, fill, verdict } from "./verdict.js";

const REFRESH_EVERY_MS = 5000;
const STREAM_WITHIN_MS = 20_000;
const SOCKET_WITHIN_MS = 5000;

const $ = (id) => document.getElementById(id);

/** Refreshes by the clock, while it is wanted and somebody looks; says so when it does not work. */
function watchRefresh(form, auto, said) {
  const box = auto.querySelector("input");
  const tick = () => {
    if (box.checked && !document.hidden) form.dispatchEvent(new Event("tick"));
  };
  const say = (text) => {
    if (said.textContent !== text) said.textContent = text;
  };

  auto.hidden = false;
  box.addEventListener("change", tick);
  document.addEventListener("visibilitychange", tick);
  setInterval(tick, REFRESH_EVERY_MS);

  form.addEventListener("htmx:before:response", (event) => {
    const { raw, status } = event.detail.ctx.response;
    if (raw.ok && !raw.redirected) return;
    event.preventDefault();
    say(raw.redirected ? form.dataset.signedOut : fill(form.dataset.failed, { status }));
  });
  form.addEventListener("htmx:after:request", (event) => {
    // Of those by the clock nothing is said.
    const { sourceEvent } = event.detail.ctx;
    say(sourceEvent?.type === "submit" ? form.dataset.done : "");
  });
  form.addEventListener("htmx:error", () => say(form.dataset.lost));
}

/** Has the stream sent; returns when each piece arrived, or a kind and what belongs to it. */
async function receive(path) {
  const arrivals = [];
  const started = performance.now();
  try {
    const signal = AbortSignal.timeout(STREAM_WITHIN_MS);
    const response = await fetch(path, { headers: { Accept: "text/event-stream" }, signal });
    if (response.redirected) return { kind: "signedOut", arrivals };
    if (!response.ok) return { kind: "refused", status: response.status, arrivals };
    const events = new Events();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const arrived = performance.now() - started;
      for (const data of events.feed(read.value)) arrivals.push({ ...JSON.parse(data), arrived });
    }
  } catch {
    // Cut, or over time: what came before is judged. Nothing came: nobody answered.
    if (arrivals.length === 0) return { kind: "unreachable", arrivals };
  }
  return { ...verdict(arrivals), arrivals };
}

/** Opens a WebSocket, says something and waits for it to come back. */
function trySocket(path) {
  const url = new URL(path, window.location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    let opened = false;
    let started = performance.now();
    const end = (kind) => {
      clearTimeout(timer);
      resolve({ kind, took: performance.now() - started });
      socket.close();
    };
    const timer = setTimeout(() => end(opened ? "silent" : "blocked"), SOCKET_WITHIN_MS);
    socket.addEventListener("open", () => {
      opened = true;
      started = performance.now();
      socket.send("Is anybody there?");
    });
    socket.addEventListener("message", () => end("through"));
    socket.addEventListener("close", () => end(opened ? "silent" : "blocked"));
  });
}

class StreamingTest {
  constructor(section, button, verdicts, pieces) {
    this.words = section.dataset;
    this.button = button;
    this.verdicts = verdicts;
    this.pieces = pieces;
    this.isRunning = false;
    button.hidden = false;
    button.addEventListener("click", () => this.run());
  }

  async run() {
    if (this.isRunning) return;
    this.running(true);
    this.pieces.hidden = true;
    this.verdicts.replaceChildren(sentence("testing", this.words.testing));
    const stream = await receive(this.words.stream);
    const said = [sentence(stream.kind, fill(this.words[stream.kind], stream))];
    // A socket without a session is refused, whatever lies between.
    if (stream.kind !== "signedOut") said.push(await this.socketSays());
    this.show(stream.arrivals);
    this.verdicts.replaceChildren(...said);
    this.running(false);
  }

  async socketSays() {
    const socket = await trySocket(this.words.socket);
    const words = {
      through: this.words.socketThrough,
      blocked: this.words.socketBlocked,
      silent: this.words.socketSilent,
    };
    return sentence(socket.kind, fill(words[socket.kind], socket));
  }

  // Not disabled: a disabled button loses the focus.
  running(isRunning) {
    this.isRunning = isRunning;
    this.button.setAttribute("aria-disabled", String(isRunning));
  }

  show(arrivals) {
    const rows = arrivals.map(({ piece, sent, arrived }) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = piece;
      const cells = [sent, arrived].map((ms) => {
        const cell = document.createElement("td");
        cell.textContent = Math.round(ms);
        return cell;
      });
      row.append(head, ...cells);
      return row;
    });
    this.pieces.querySelector("tbody").replaceChildren(...rows);
    this.pieces.hidden = rows.length === 0;
  }
}

const GOOD = new Set(["streams", "through"]);

function sentence(kind, text) {
  const line = document.createElement("p");
  line.className = "verdict";
  line.dataset.kind = kind;
  if (kind !== "testing") line.classList.add(GOOD.has(kind) ? "verdict-good" : "verdict-bad");
  line.textContent = text;
  return line;
}

watchRefresh($("refresh"), $("refresh-auto"), $("refresh-said"));
new StreamingTest($("streaming"), $("test-streaming"), $("verdicts"), $("pieces"));
