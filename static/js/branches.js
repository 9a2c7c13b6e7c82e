/* The buttons under messages: what they could not do is said, and the reader keeps the place. */
export class Branches {
  constructor(messages, error, words, follower, composer) {
    Object.assign(this, { error, words, follower, composer });
    this.pressed = null; // the button of the versions that was used, until others stand there
    this.focused = null;

    messages.addEventListener("focusin", (event) => (this.focused = event.target));
    messages.addEventListener("focusout", (event) => {
      // Some browsers say so too of what is just being removed.
      queueMicrotask(() => {
        if (event.target.isConnected) this.focused = null;
      });
    });
    messages.addEventListener("htmx:before:request", (event) => this.asking(event.target));
    messages.addEventListener("htmx:after:request", (event) => this.answered(event));
    messages.addEventListener("htmx:error", (event) => this.failed(event.target));
    new MutationObserver(() => this.changed()).observe(messages, { childList: true });
  }

  asking(button) {
    if (!button.matches("button")) return;
    this.error.textContent = "";
    this.pressed = null;
    // A rating asks for nothing: its reply stays where it is.
    if (!button.matches("[form=commands]") || button.matches(".opinion")) return;
    const versions = button.closest(".versions");
    this.pressed = { id: button.id, versions, top: versions && topOf(versions) };
  }

  /** What was asked for comes by the socket, maybe before this: only a refusal matters here. */
  answered(event) {
    const { status } = event.detail.ctx.response;
    if (!event.target.matches("button") || status < 400) return;
    this.pressed = null;
    // An answer of ours says why and replaces these words.
    const stale = status === 403 || status === 404;
    this.error.textContent = stale ? this.words.stale : this.words.failed;
  }

  failed(button) {
    if (!button.matches("button")) return;
    this.pressed = null;
    this.error.textContent = this.words.failed;
  }

  changed() {
    const { pressed, focused } = this;
    if (pressed?.versions) this.keepPlace(pressed);
    else if (pressed) this.goToReply();
    else if (focused?.isConnected === false && document.activeElement === document.body) {
      this.composer.focus(); // what had the focus is gone
    }
    if (focused?.isConnected === false) this.focused = null;
  }

  /** Another reply was asked for: it is at the end. */
  goToReply() {
    this.pressed = null;
    this.follower.stick();
    this.composer.focus();
  }

  /** The buttons of the versions stay under the pointer and keep the focus. */
  keepPlace({ id, versions, top }) {
    const now = document.getElementById(versions.id);
    if (now === versions) return;
    this.pressed = null;
    if (!now) return;
    this.follower.shift(topOf(now) - top);
    const same = document.getElementById(id);
    const button = same.disabled ? now.querySelector("button:enabled") : same;
    button.focus({ preventScroll: true });
  }
}

function topOf(element) {
  return element.getBoundingClientRect().top;
}
