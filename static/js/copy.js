/* Copy buttons: of a code block, of a message. */
const SAID_MS = 1500;

export function watchCopies() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy-code, [data-copies]");
    if (!button) return;
    await copy(await wanted(button));
    said(button);
  });
}

/** What the button copies: a part of the page, or, of an answer in a form, the JSON behind it. */
async function wanted(button) {
  if (button.dataset.copiesFrom) {
    const answer = await fetch(button.dataset.copiesFrom);
    if (answer.ok) return answer.text();
  }
  return textOf(
    button.dataset.copies
      ? document.getElementById(button.dataset.copies)
      : button.closest(".code-block").querySelector("code"),
  );
}

/** The text as it is read, without what the page adds to it. */
function textOf(source) {
  source.classList.add("is-copied"); // the style hides buttons; no picture is painted meanwhile
  const text = source.innerText.replace(/^\n+/, "").trimEnd();
  source.classList.remove("is-copied");
  return text;
}

async function copy(text) {
  // The clipboard API is there on secure origins only; a chat on a plain LAN address is not one.
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyByCommand(text);
  }
}

function copyByCommand(text) {
  const focused = document.activeElement;
  const box = document.createElement("textarea");
  box.value = text;
  document.body.append(box);
  box.select();
  document.execCommand("copy");
  box.remove();
  focused?.focus({ preventScroll: true });
}

function said(button) {
  button.dataset.label ??= button.textContent;
  button.textContent = document.getElementById("conversation").dataset.copied;
  clearTimeout(button.timer);
  button.timer = setTimeout(() => {
    button.textContent = button.dataset.label;
  }, SAID_MS);
}
