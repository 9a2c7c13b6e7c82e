/* The composer: its draft survives the page, and it gives a new conversation its address. */
import { MessageForm } from "./message-form.js";

export class Composer extends MessageForm {
  constructor(form, error, onSent) {
    super(form, error, form.dataset);
    this.onSent = onSent;
    if (!this.box.value) this.box.value = this.readDraft();
    this.resize();
    window.addEventListener("pagehide", () => this.saveDraft());
  }

  get draftKey() {
    return `parley.draft.${this.form.dataset.conversation}`;
  }

  get storage() {
    return localStorage;
  }

  get isDraft() {
    return this.box.value !== "";
  }

  focus() {
    // On a touch screen the focus would open the keyboard over the page.
    if (window.matchMedia("(hover: hover)").matches) this.box.focus();
  }

  accepted() {
    // What was typed while the request was under way stays.
    if (this.box.value === this.sent) this.box.value = "";
    this.clearDraft();
    this.adopt();
    this.changed();
    this.onSent();
  }

  /** A new conversation has its address once its first message is accepted. */
  adopt() {
    if (this.form.dataset.conversation !== "new") return;
    const url = new URL(this.form.action).pathname.replace(/messages$/, "");
    this.form.dataset.conversation = url.split("/")[2];
    history.replaceState(null, "", url);
  }
}
