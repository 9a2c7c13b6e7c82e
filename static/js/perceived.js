/* Perceived time to first token: from the click to the first text of the reply on screen. */

const ASKING = "#composer, .edit-form, [id^=regenerate-], [id^=continue-]";

const HANDLED_MS = 5_000; // from a click to the request that it makes, on a page that is busy

const numberOf = (article) => Number(article.id.replace("message-", ""));

/** Has anything of the reply been written here, be it reasoning? */
function hasText(article) {
  const number = numberOf(article);
  return [`body-${number}`, `reasoning-${number}`].some((id) =>
    document.getElementById(id)?.textContent.trim(),
  );
}

export class Perceived {
  /** `report` takes the number of the message and the milliseconds. */
  constructor(page, messages, report) {
    this.messages = messages;
    this.report = report;
    this.pressed = Number.NEGATIVE_INFINITY;
    this.forget();
    this.observer = new MutationObserver(() => this.changed());

    // When it was pressed, whenever the page came to handle it: the form's own event comes after.
    for (const type of ["click", "keydown"]) {
      page.addEventListener(type, ({ timeStamp }) => (this.pressed = timeStamp), true);
    }
    page.addEventListener("htmx:before:request", (event) => this.asking(event));
    page.addEventListener("htmx:after:request", (event) => this.answered(event));
    page.addEventListener("htmx:error", (event) => this.failed(event));
    // Nobody saw it come: neither the text nor the time at which it was painted.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.forget();
    });
  }

  forget() {
    this.asker = null;
    this.observer?.disconnect();
  }

  get replies() {
    return [...this.messages.querySelectorAll("article[data-role=assistant]")];
  }

  asking({ target, detail }) {
    if (!target.matches?.("form, button")) return;
    // Whatever else is asked for, such as another version, may bring text that nobody waited for.
    this.forget();
    if (!target.matches(ASKING) || document.hidden) return;
    this.asker = target;
    const now = detail.ctx.sourceEvent?.timeStamp || performance.now();
    this.since = now - this.pressed < HANDLED_MS ? this.pressed : now;
    this.newest = Math.max(0, ...this.replies.map(numberOf));
    this.observer.observe(this.messages, { childList: true, characterData: true, subtree: true });
  }

  answered({ target, detail }) {
    if (target === this.asker && !detail.ctx.response?.raw.ok) this.forget();
  }

  failed({ target }) {
    if (target === this.asker) this.forget();
  }

  changed() {
    const article = this.replies.find((one) => numberOf(one) > this.newest);
    if (!article || !hasText(article)) return;
    const { since } = this;
    this.observer.disconnect();
    // The frame is painted after its callbacks; what is queued in them comes when it has been.
    requestAnimationFrame(() => setTimeout(() => {
      if (this.asker === null) return;
      this.forget();
      this.report(numberOf(article), performance.now() - since);
    }));
  }
}

/** Sends it to the server, which outlives the page and waits for nothing. */
export function reportTo(composer) {
  return (number, milliseconds) => {
    const url = new URL(`${composer.action}/${number}/perceived`).pathname;
    const said = new URLSearchParams({
      ms: milliseconds.toFixed(1),
      csrfmiddlewaretoken: composer.elements.csrfmiddlewaretoken.value,
    });
    navigator.sendBeacon(url, said);
  };
}
