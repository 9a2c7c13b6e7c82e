/* Server-sent events with the WebSocket's frames; used where no WebSocket gets through. */
const RETRY_MS = 500;
const RETRY_MAX_MS = 4000;

export class EventStream {
  /** `tell` has opened(), frame(data, cursor), lost(), bye(code). */
  constructor(url, cursor, tell) {
    this.url = url;
    this.cursor = cursor;
    this.tell = tell;
    this.wait = RETRY_MS;
    this.isOpen = false;
    this.painting = Promise.resolve();
    this.connect();
  }

  connect() {
    const url = new URL(this.url, window.location.href);
    url.searchParams.set("after", this.cursor());
    this.source = new EventSource(url);
    this.source.addEventListener("open", () => this.opened());
    this.source.addEventListener("message", (event) => this.received(event));
    this.source.addEventListener("bye", (event) => this.bye(Number(event.data)));
    this.source.addEventListener("error", () => this.failed());
  }

  close() {
    clearTimeout(this.timer);
    this.source.close();
    this.isOpen = false;
  }

  opened() {
    this.wait = RETRY_MS;
    this.isOpen = true;
    this.tell.opened();
  }

  received(event) {
    // One after another: a swap may take longer than the next frame.
    this.painting = this.painting.then(() =>
      this.tell.frame(event.data, Number(event.lastEventId)),
    );
  }

  bye(code) {
    if (code >= 4000) {
      this.close();
      this.tell.bye(code);
    }
  }

  failed() {
    // The browser's own repeat would ask with the cursor of the last frame that came, painted or
    // not, and gives up for good when it is answered with an error.
    this.source.close();
    if (this.isOpen) this.tell.lost();
    this.isOpen = false;
    this.timer = setTimeout(() => this.connect(), this.wait * (0.7 + Math.random() * 0.6));
    this.wait = Math.min(this.wait * 2, RETRY_MAX_MS);
  }
}
