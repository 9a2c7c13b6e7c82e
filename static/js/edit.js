/* The form in place of a user's message. What is typed outlives every change of the transcript. */
import { MessageForm } from "./message-form.js";

class Edit extends MessageForm {
  constructor(form, words, closed) {
    super(form, form.querySelector("[role=alert]"), words);
    this.message = form.dataset.message;
    this.closed = closed;
    this.isSending = false;
    this.box.value = this.readDraft() || this.box.value;
    form.addEventListener("keydown", (event) => this.escape(event));
    form.querySelector("[data-cancel]").addEventListener("click", () => this.close(false));
    this.resize();
    this.focus(this.box.value.length, this.box.value.length);
  }

  // Of this tab: a message that is edited in two of them is edited twice.
  get draftKey() {
    return `parley.edit.${this.message}`;
  }

  get storage() {
    return sessionStorage;
  }

  get isDraft() {
    return this.box.value !== this.box.defaultValue;
  }

  focus(start, end) {
    this.box.focus({ preventScroll: true });
    this.box.setSelectionRange(start, end);
    this.form.scrollIntoView({ block: "nearest" });
  }

  escape(event) {
    if (event.key !== "Escape" || event.isComposing) return;
    event.preventDefault(); // it would stop the reply that is being written
    this.close(false);
  }

  sending(event) {
    super.sending(event);
    this.isSending = true;
  }

  accepted() {
    this.close(true);
  }

  close(saved) {
    this.clearDraft();
    this.closed(saved);
  }
}

/** Every open edit. When a part of the transcript is replaced, the forms in it step aside. */
export class Edits {
  constructor(page, messages, words, { opened, closed }) {
    Object.assign(this, { messages, words, opened, closed });
    this.open = new Map(); // form → Edit
    this.aside = document.createElement("div");
    this.aside.hidden = true;
    page.append(this.aside);

    page.addEventListener("htmx:before:swap", (event) => this.stepAside(event.detail.tasks));
    page.addEventListener("htmx:finally:swap", (event) => {
      this.settle();
      // Not after every frame of the socket: no form comes with those.
      if (event.target !== page) this.arrived();
    });
    page.addEventListener("htmx:finally:request", (event) => this.answered(event.target));
    window.addEventListener("pagehide", () => {
      for (const edit of this.open.values()) edit.saveDraft();
    });
  }

  stepAside(tasks) {
    for (const [form, edit] of this.open) {
      if (!tasks.some(({ target }) => target?.contains?.(form))) continue;
      const { selectionStart, selectionEnd } = edit.box;
      edit.selection = form.contains(document.activeElement) && [selectionStart, selectionEnd];
      this.aside.append(form);
    }
  }

  settle() {
    for (const form of [...this.aside.children]) this.comeBack(this.open.get(form));
  }

  arrived() {
    for (const form of this.messages.querySelectorAll(".edit-form")) {
      if (this.open.has(form)) continue;
      this.opened();
      this.open.set(form, new Edit(form, this.words, (saved) => this.close(form, saved)));
    }
  }

  /** To its message; to the end when that is not on screen any more and nobody has taken it yet. */
  comeBack(edit) {
    const article = document.getElementById(`message-${edit.message}`);
    if (!article && edit.isSending) return;
    (article ?? this.messages).append(edit.form);
    if (edit.selection) edit.focus(...edit.selection);
    edit.selection = null;
  }

  answered(form) {
    const edit = this.open.get(form);
    if (!edit) return;
    edit.isSending = false;
    if (form.parentElement === this.aside) this.comeBack(edit);
  }

  close(form, saved) {
    this.open.delete(form);
    form.remove();
    this.closed(document.getElementById(`edits-${form.dataset.message}`), saved);
  }
}
