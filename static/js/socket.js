/* The stream of fragments: htmx opens, reconnects and swaps the WebSocket; here the cursor, the
   acknowledgements, the words about it, and the way around a network that lets no WebSocket through. */
import { EventStream } from "./event-stream.js";

export const SIGNED_OUT = 4401;
export const GONE = 4404;
const ACK_AFTER_MS = 1000;
const ACK_AFTER_CHARS = 256 * 1024;
// A WebSocket that fails twice before it ever opened may be blocked: a stream over HTTP is tried.
const BLOCKED_AFTER = 2;

/** The frame's number and the cursor, at the end of a frame, without parsing the whole of it. */
export function placeOf(data) {
  const match = /"frame":(\d+),"cursor":(-?\d+)\}$/.exec(String(data).slice(-60));
  return match ? { frame: Number(match[1]), cursor: Number(match[2]) } : null;
}

/** When to acknowledge: after a second, or at once when much has come. */
class Acknowledgements {
  constructor(send) {
    this.send = send;
    this.reset();
  }

  reset() {
    clearTimeout(this.timer);
    this.timer = null;
    this.frame = 0;
    this.characters = 0;
  }

  painted(frame, characters) {
    this.frame = frame;
    this.characters += characters;
    if (this.characters > ACK_AFTER_CHARS) this.acknowledge();
    else this.timer ??= setTimeout(() => this.acknowledge(), ACK_AFTER_MS);
  }

  acknowledge() {
    clearTimeout(this.timer);
    this.timer = null;
    this.characters = 0;
    this.send(JSON.stringify({ type: "ack", frame: this.frame }));
  }
}

export class Connection {
  constructor(element, status, transport) {
    this.element = element;
    this.status = status;
    this.transport = transport;
    this.cursor = Number(element.dataset.cursor);
    this.before = null;
    this.failures = 0;
    this.socket = null;
    this.stream = null;
    this.acknowledgements = new Acknowledgements((text) => this.answer(text));

    element.addEventListener("htmx:ws:before:connection", (event) => this.opening(event));
    element.addEventListener("htmx:ws:after:connection", (event) => this.opened(event));
    element.addEventListener("htmx:ws:after:message:incoming", (event) => this.received(event));
    element.addEventListener("htmx:ws:close", (event) => this.closed(event));
  }

  opening(event) {
    // The stream over HTTP has taken over: htmx need not try again.
    if (this.stream?.isOpen) event.detail.connection.cancelled = true;
  }

  opened(event) {
    this.failures = -Infinity; // it can be opened: whatever fails from now on is no blockade
    this.stream?.close();
    this.stream = null;
    this.transport.textContent = "";
    this.socket = event.detail.connection.socket;
    this.acknowledgements.reset();
    this.socket.send(JSON.stringify({ type: "resume", cursor: this.cursor }));
    this.restore();
  }

  received(event) {
    const { data } = event.detail.message;
    const place = placeOf(data);
    if (place === null) return;
    this.cursor = place.cursor;
    this.acknowledgements.painted(place.frame, data.length);
  }

  answer(text) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(text);
  }

  closed(event) {
    const { reason, code } = event.detail;
    if (reason !== "closed") return;
    this.acknowledgements.reset();
    if (this.stream?.isOpen) return;
    this.lost(code);
    this.failures += 1;
    if (this.failures >= BLOCKED_AFTER && this.stream === null) this.goAround();
  }

  /** Follow the same stream over HTTP, from the same cursor. */
  goAround() {
    this.stream = new EventStream(this.element.dataset.events, () => this.cursor, {
      opened: () => {
        this.restore();
        this.transport.textContent = this.element.dataset.overHttp;
      },
      frame: (data, cursor) => this.painted(data, cursor),
      lost: () => this.lost(0),
      bye: (code) => this.lost(code),
    });
  }

  async painted(data, cursor) {
    const frame = JSON.parse(data);
    await window.htmx.swap({
      sourceElement: this.element,
      target: frame.target ?? this.element,
      swap: frame.swap ?? "none",
      text: frame.content,
      transition: false,
    });
    this.cursor = cursor;
  }

  /** What was said before comes back; what changed meanwhile comes with the next frame. */
  restore() {
    if (this.before !== null) this.status.innerHTML = this.before;
    this.before = null;
  }

  lost(code) {
    if (code === GONE) return;
    if (code === SIGNED_OUT) {
      this.say("signed-out", this.element.dataset.signedOut, window.location.pathname);
      return;
    }
    this.before ??= this.status.innerHTML;
    this.say("lost", this.element.dataset.lost);
  }

  say(state, text, href = "") {
    const line = document.createElement(href ? "a" : "span");
    if (href) line.href = href;
    line.dataset.state = state;
    line.textContent = text;
    this.status.replaceChildren(line);
  }
}
