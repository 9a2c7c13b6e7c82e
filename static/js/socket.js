/* The WebSocket: htmx opens, reconnects and swaps; here the cursor and the words about it. */
const SIGNED_OUT = 4401;
const GONE = 4404;

/** The cursor at the end of a frame, without parsing the whole of it. */
export function cursorOf(data) {
  const match = /"cursor":(-?\d+)\}$/.exec(String(data).slice(-40));
  return match ? Number(match[1]) : null;
}

export class Connection {
  constructor(element, status) {
    this.element = element;
    this.status = status;
    this.cursor = Number(element.dataset.cursor);
    this.before = null;

    element.addEventListener("htmx:ws:after:connection", (event) => this.opened(event));
    element.addEventListener("htmx:ws:after:message:incoming", (event) => this.received(event));
    element.addEventListener("htmx:ws:close", (event) => this.closed(event));
  }

  opened(event) {
    const resume = { type: "resume", cursor: this.cursor };
    event.detail.connection.socket.send(JSON.stringify(resume));
    // What was said before comes back; what changed meanwhile comes with the next frame.
    if (this.before !== null) this.status.innerHTML = this.before;
    this.before = null;
  }

  received(event) {
    this.cursor = cursorOf(event.detail.message.data) ?? this.cursor;
  }

  closed(event) {
    const { reason, code } = event.detail;
    if (reason !== "closed" || code === GONE) return;
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
