// What a browser adds to the account pages. All of them work without it.

for (const button of document.querySelectorAll("button.reveal")) {
  const input = document.getElementById(button.getAttribute("aria-controls"));

  const show = (shown) => {
    input.type = shown ? "text" : "password";
    for (const part of button.querySelectorAll("[data-when]")) {
      part.hidden = (part.dataset.when === "shown") !== shown;
    }
  };

  button.addEventListener("click", () => show(input.type === "password"));
  // A browser keeps what was typed into text fields, so it must not be one when it is sent.
  input.form.addEventListener("submit", () => show(false));
  button.hidden = false;
}

// A second click would be a second sign-up, and its refusal would be the page that is seen.
for (const form of document.querySelectorAll("form[method=post]")) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  addEventListener("pageshow", () => (sent = false)); // also when it comes back from the cache
}
