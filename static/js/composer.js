/* The composer: Enter sends, the box grows, what was typed survives. */
const DRAFT_DELAY_MS = 250;

export class Composer {
  constructor(form, error, onSent) {
    this.form = form;
    this.error = error;
    this.onSent = onSent;
    this.box = form.elements.text;
    this.sent = null;
    this.unsure = null; // what was sent when no answer came: it may have been accepted

    if (!this.box.value) this.box.value = this.readDraft();
    this.resize();

    this.box.addEventListener("input", () => this.changed());
    this.box.addEventListener("keydown", (event) => this.key(event));
    form.addEventListener("htmx:before:request", (event) => this.sending(event));
    form.addEventListener("htmx:before:response", (event) => this.answering(event));
    form.addEventListener("htmx:after:request", (event) => this.answered(event));
    form.addEventListener("htmx:error", (event) => this.failed(event));
    window.addEventListener("pagehide", () => this.saveDraft());
  }

  focus() {
    // On a touch screen the focus would open the keyboard over the page.
    if (window.matchMedia("(hover: hover)").matches) this.box.focus();
  }

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
    this.error.textContent = this.form.dataset.signedOut;
  }

  answered(event) {
    if (event.target !== this.form) return;
    const status = event.detail.ctx.response.status;
    // An answer of ours says why and replaces these words.
    if (status === 403 || status === 404) this.error.textContent = this.form.dataset.stale;
    else if (status >= 400) this.lost();
    if (status !== 200) return;
    this.unsure = null;
    // What was typed while the request was under way stays.
    if (this.box.value === this.sent) this.box.value = "";
    this.clearDraft();
    this.adopt();
    this.changed();
    this.onSent();
  }

  failed(event) {
    if (event.target === this.form) this.lost();
  }

  lost() {
    this.unsure = this.sent;
    this.error.textContent = this.form.dataset.unsent;
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

  /** A new conversation has its address once its first message is accepted. */
  adopt() {
    if (this.form.dataset.conversation !== "new") return;
    const url = new URL(this.form.action).pathname.replace(/messages$/, "");
    this.form.dataset.conversation = url.split("/")[2];
    history.replaceState(null, "", url);
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

  get draftKey() {
    return `parley.draft.${this.form.dataset.conversation}`;
  }

  // Storage may be switched off or full: a draft is then kept by the page alone.
  readDraft() {
    try {
      return localStorage.getItem(this.draftKey) ?? "";
    } catch {
      return "";
    }
  }

  saveDraft() {
    try {
      if (this.box.value) localStorage.setItem(this.draftKey, this.box.value);
      else localStorage.removeItem(this.draftKey);
    } catch {}
  }

  clearDraft() {
    try {
      localStorage.removeItem(this.draftKey);
    } catch {}
  }
}
