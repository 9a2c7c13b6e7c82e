/* The conversation page: each part is wired to its elements once. */
import { Branches } from "./branches.js";
import { Composer } from "./composer.js";
import { watchCopies } from "./copy.js";
import { watchCountdowns } from "./countdown.js";
import { Edits } from "./edit.js";
import { watchDialog, watchMenus, watchSidebar } from "./overlays.js";
import { Perceived, reportTo } from "./perceived.js";
import { Follower } from "./scroll.js";
import { Connection } from "./socket.js";

const $ = (id) => document.getElementById(id);

const follower = new Follower($("transcript"), $("messages"), $("jump"));
const composer = new Composer($("composer"), $("composer-error"), () => follower.stick());
new Branches($("messages"), $("composer-error"), $("conversation").dataset, follower, composer);
new Edits($("conversation"), $("messages"), $("composer").dataset, {
  opened: () => follower.release(),
  closed: (opener, saved) => {
    if (saved) follower.stick();
    if (opener && !saved) opener.focus();
    else composer.focus();
  },
});
new Connection($("conversation"), $("status"), $("transport"));
new Perceived($("conversation"), $("messages"), reportTo($("composer")));

watchDialog($("dialog"));
watchMenus();
watchSidebar($("sidebar"), $("open-sidebar"), $("close-sidebar"));
watchCopies();
watchCountdowns($("status"));

const ACTIVE = new Set(["waiting", "thinking", "writing", "tool", "approval"]);
const isActive = () => ACTIVE.has($("status").querySelector("[data-state]")?.dataset.state);

// A screen reader should not read every token: the log is busy until the reply is there.
new MutationObserver(() => {
  $("messages").setAttribute("aria-busy", String(isActive()));
}).observe($("status"), { childList: true, subtree: true });

new MutationObserver(() => {
  document.title = `${$("title").textContent.trim()} – Parley`;
}).observe($("title"), { childList: true, characterData: true, subtree: true });

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const shortcut = event.ctrlKey || event.metaKey;
  if (event.key === "Escape" && isActive() && !$("dialog").open) {
    $("stop").click();
  } else if (shortcut && event.shiftKey && event.key.toLowerCase() === "o") {
    event.preventDefault();
    $("new-chat").click();
  }
});

// Signed out meanwhile: the answer is the sign-in page, which is no part of this one. The composer
// has its own words for it, because it holds what was typed.
document.addEventListener("htmx:before:response", (event) => {
  if (!event.detail.ctx.response.raw.redirected || event.defaultPrevented) return;
  event.preventDefault();
  window.location.reload();
});

// A page from the back-forward cache has a closed socket and may be old.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

composer.focus();
