/* Copy buttons: of a code block, of a message. */
const SAID_MS = 1500;

export function watchCopies() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy-code, [data-copies]");
    if (!button) return;
    const source = button.dataset.copies
      ? document.getElementById(button.dataset.copies)
      : button.closest(".code-block").querySelector("code");
    await copy(source.innerText.trimEnd());
    said(button);
  });
}

async function copy(text) {
  // The clipboard API is there on secure origins only; a chat on a plain LAN address is not one.
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const box = document.createElement("textarea");
  box.value = text;
  document.body.append(box);
  box.select();
  document.execCommand("copy");
  box.remove();
}

function said(button) {
  button.dataset.label ??= button.textContent;
  button.textContent = document.getElementById("conversation").dataset.copied;
  clearTimeout(button.timer);
  button.timer = setTimeout(() => {
    button.textContent = button.dataset.label;
  }, SAID_MS);
}
