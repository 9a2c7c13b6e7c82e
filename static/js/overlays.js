/* What lies over the page: the dialog, the menus, the drawer. */

const BEGINS = '[aria-invalid="true"], [autofocus], input:not([type="hidden"]), button';

/** The dialog opens when the server puts something into it and closes when it is emptied. */
export function watchDialog(dialog) {
  new MutationObserver(() => {
    const filled = dialog.firstElementChild !== null;
    if (filled && !dialog.open) dialog.showModal();
    else if (!filled && dialog.open) dialog.close();
    // A refused form takes the place of the one that had the focus.
    if (filled && !dialog.contains(document.activeElement)) dialog.querySelector(BEGINS)?.focus();
  }).observe(dialog, { childList: true });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
  });
  dialog.addEventListener("close", () => dialog.replaceChildren());
}

/** Menus are <details>: one at a time, closed by Escape, a choice, or a click elsewhere. */
export function watchMenus() {
  const open = () => document.querySelector("details.menu[open]");
  document.addEventListener("click", (event) => {
    const menu = open();
    if (!menu) return;
    const chosen = menu.contains(event.target) && event.target.closest(".menu-items");
    if (!chosen && menu.contains(event.target)) return;
    menu.open = false;
    // Before a dialog opens: it gives the focus back to where it was.
    if (chosen) menu.querySelector("summary").focus();
  });
  document.addEventListener("keydown", (event) => {
    const menu = open();
    if (event.key !== "Escape" || !menu) return;
    event.preventDefault();
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  document.addEventListener("toggle", (event) => place(event.target), true);
}

/** A menu within the scrolling list would be cut off: put it over the page instead. */
function place(menu) {
  if (!menu.matches?.(".conversations details.menu") || !menu.open) return;
  const items = menu.querySelector(".menu-items");
  const at = menu.getBoundingClientRect();
  items.style.position = "fixed";
  items.style.insetInlineEnd = "auto";
  items.style.left = `${Math.max(8, at.right - items.offsetWidth)}px`;
  const below = at.bottom + items.offsetHeight < window.innerHeight;
  items.style.top = `${below ? at.bottom : at.top - items.offsetHeight}px`;
}

/** On a narrow screen the sidebar is a drawer, and what lies behind it out of reach. */
export function watchSidebar(sidebar, opener, closer) {
  const behind = [...sidebar.parentElement.children].filter(
    (other) => other !== sidebar && !other.matches("dialog"),
  );
  const isOpen = () => sidebar.classList.contains("is-open");
  const show = (shown) => {
    sidebar.classList.toggle("is-open", shown);
    for (const other of behind) other.inert = shown;
    opener.setAttribute("aria-expanded", String(shown));
    (shown ? closer : opener).focus();
  };
  opener.addEventListener("click", () => show(true));
  closer.addEventListener("click", () => show(false));
  document.addEventListener("click", (event) => {
    if (isOpen() && !sidebar.contains(event.target) && !opener.contains(event.target)) show(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !isOpen() || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return; // it lies above and goes first
    event.preventDefault();
    show(false);
  });
  // A tablet that is turned: there is room for both again.
  window.matchMedia("(min-width: 48.0625rem)").addEventListener("change", (event) => {
    if (event.matches && isOpen()) show(false);
  });
}
