/* A form that sends a message: Enter sends, the box grows, what was typed survives. */
const DRAFT_DELAY_MS = 250;

export class MessageForm {
  /** `words` has what is said when no answer of ours came; `error` is where it is said. */
  constructor(form, error, words) {
    this.form = form;
    this.error = error;
    this.words = words;
    this.box = form.elements.text;
    this.sent = null;
    this.unsure = null; // what was sent when no answer came: it may have been accepted

    this.box.addEventListener("input", () => this.changed());
    this.box.addEventListener("keydown", (event) => this.key(event));
    form.addEventListener("htmx:before:request", (event) => this.sending(event));
    form.addEventListener("htmx:before:response", (event) => this.answering(event));
    form.addEventListener("htmx:after:request", (event) => this.answered(event));
    form.addEventListener("htmx:error", (event) => this.failed(event));
  }

  /** What the form is for; `accepted` comes after the server has taken the message. */
  accepted() {}

  // Where the draft is kept, and what is none.
  get draftKey() {}
  get storage() {}
  get isDraft() {}

  key(event) {
    // An input method uses Enter to choose a word. Safari ends its composition before this event
    // and marks the key by the code 229 alone.
    const composing = event.isComposing || event.keyCode === 229;
    if (event.key !== "Enter" || event.shiftKey || composing) return;
    event.preventDefault();
    if (this.box.value.trim()) this.form.requestSubmit();
  }

  sending(event) {
    if (event.target !== this.form) return;
    this.sent = this.box.value;
    this.error.textContent = "";
  }

  /** The answer is a sign-in page: nothing of it belongs here. */
  answering(event) {
    if (event.target !== this.form || !event.detail.ctx.response.raw.redirected) return;
    event.preventDefault();
    this.error.textContent = this.words.signedOut;
  }

  answered(event) {
    if (event.target !== this.form) return;
    const { status, raw } = event.detail.ctx.response;
    // An answer of ours says why and replaces these words.
    if (status === 403 || status === 404) this.error.textContent = this.words.stale;
    else if (status >= 400) this.lost();
    if (!raw.ok) return;
    this.unsure = null;
    this.accepted();
  }

  failed(event) {
    if (event.target === this.form) this.lost();
  }

  lost() {
    this.unsure = this.sent;
    this.error.textContent = this.words.unsent;
  }

  /** Sent again as it was, a message is accepted once; an edited one is another message. */
  renewKey() {
    if (this.unsure === null || this.box.value === this.unsure) return;
    this.unsure = null;
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    this.form.elements.key.value = Array.from(bytes, (byte) =>
      byte.toString(16).padStart(2, "0"),
    ).join("");
  }

  changed() {
    this.renewKey();
    this.resize();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.saveDraft(), DRAFT_DELAY_MS);
  }

  resize() {
    // Browsers without field-sizing: as high as the text, up to the style's limit.
    if (CSS.supports("field-sizing", "content")) return;
    this.box.style.height = "auto";
    this.box.style.height = `${this.box.scrollHeight}px`;
  }

  // Storage may be switched off or full: a draft is then kept by the page alone.
  readDraft() {
    try {
      return this.storage.getItem(this.draftKey) ?? "";
    } catch {
      return "";
    }
  }

  saveDraft() {
    try {
      if (this.isDraft) this.storage.setItem(this.draftKey, this.box.value);
      else this.storage.removeItem(this.draftKey);
    } catch {}
  }

  clearDraft() {
    clearTimeout(this.timer);
    try {
      this.storage.removeItem(this.draftKey);
    } catch {}
  }
}
