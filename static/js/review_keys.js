/* Single keys: only outside of fields, and only while they are wanted (WCAG 2.1.4). */
const KEPT_AS = "parley.review.keys";
const FIELDS = 'input:not([type="radio"], [type="checkbox"]), textarea, select, [contenteditable]';

/** The next or previous of these elements, seen from where the focus is. */
function step(selector, by) {
  const all = [...document.querySelectorAll(selector)];
  const focused = document.activeElement;
  const at = all.findIndex((element) => element === focused || element.contains(focused));
  const holder = focused?.closest(".row, .turn");
  const here = at >= 0 ? at : all.findIndex((element) => holder?.contains(element));
  const target = here < 0 ? all.at(by > 0 ? 0 : -1) : all[here + by];
  target?.focus();
  target?.scrollIntoView({ block: target.matches(".turn") ? "start" : "nearest" });
}

/** The first of these within the row or message in focus; on a transcript, within any. */
function within(selector) {
  const holder = document.activeElement?.closest(".row, .turn");
  return holder ? holder.querySelector(selector) : document.querySelector(`.turn-waits ${selector}`);
}

function decide() {
  const details = within(".decide details");
  if (!details) return;
  details.open = true;
  (details.querySelector("textarea") ?? details.querySelector("summary")).focus();
}

const KEYS = {
  j: () => step(".row-link, .turn", 1),
  k: () => step(".row-link, .turn", -1),
  a: () => within("[data-assigns]")?.click(),
  d: decide,
  n: () => document.getElementById("next-item")?.click(),
  u: () => document.querySelector("[data-back]")?.click(),
  "/": () => document.getElementById("filter-q")?.focus(),
};

export function watchKeys(dialog, opener) {
  const box = dialog.querySelector("#keys-on");
  box.checked = localStorage.getItem(KEPT_AS) !== "off";
  box.addEventListener("change", () => localStorage.setItem(KEPT_AS, box.checked ? "on" : "off"));
  const show = () => dialog.showModal();
  opener.hidden = false;
  opener.addEventListener("click", show);
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || dialog.open || !box.checked) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches(FIELDS)) {
      if (event.key === "Escape") event.target.closest(".turn")?.focus();
      return;
    }
    const arrow = document.getElementById("rows") && { ArrowDown: "j", ArrowUp: "k" }[event.key];
    const act = event.key === "?" ? show : KEYS[arrow || event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
