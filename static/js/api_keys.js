// The copy button beside a new key. Without it the key can be selected and copied by hand.

const SAID_MS = 1500;
const button = document.querySelector("[data-copies]");

if (button) {
  const field = document.getElementById(button.dataset.copies);
  const status = document.getElementById("copied");
  const label = button.textContent;
  let timer;

  field.addEventListener("focus", () => field.select());
  button.addEventListener("click", async () => {
    // The clipboard API is there on secure origins only; a plain LAN address is not one.
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      field.select();
      document.execCommand("copy");
      button.focus();
    }
    button.textContent = status.textContent = status.dataset.text;
    clearTimeout(timer);
    timer = setTimeout(() => {
      button.textContent = label;
      status.textContent = "";
    }, SAID_MS);
  });
  button.hidden = false;
}
