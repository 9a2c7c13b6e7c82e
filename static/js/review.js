/* The reviewers' pages: lists that refresh by themselves, keys, selections, replays. */
import { watchKeys } from "./review_keys.js";
import { watchReplays } from "./review_replay.js";
import { watchSelections } from "./review_selection.js";
import { Place, watchWay } from "./review_way.js";

const REFRESH_EVERY_MS = 4000;
const AGAIN_AFTER_MS = 3000;

const main = document.getElementById("main");
const queue = document.getElementById("queue");
const news = document.getElementById("news");

/** Nothing of a page that may not be read any more stays on screen. */
function close(words) {
  const said = document.createElement("p");
  said.className = "alert alert-danger";
  said.setAttribute("role", "alert");
  said.textContent = words;
  main.replaceChildren(said);
  document.title = "Parley";
  document.querySelector(".review-trail")?.replaceChildren();
}

/** True where the answer is no part of this page; then what it means has been said. */
function refuses(response) {
  if (response.redirected) close(main.dataset.signedOut);
  else if (response.status === 404) close(main.dataset.gone);
  else return !response.ok;
  return true;
}

function every(act) {
  const timer = setInterval(() => {
    if (!main.contains(queue ?? news)) clearInterval(timer);
    else if (!document.hidden) act();
  }, REFRESH_EVERY_MS);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && main.contains(queue ?? news)) act();
  });
}

function watchQueue() {
  const said = document.getElementById("said");
  const live = document.getElementById("live");
  const isLive = queue.dataset.live === "on";
  const toDecide = () => document.getElementById("tabs")?.dataset.toDecide;
  let known = toDecide();
  live.dataset.on = isLive;

  const tick = () => queue.dispatchEvent(new Event("tick"));
  if (isLive) every(tick);

  document.addEventListener("htmx:before:response", (event) => {
    const { raw } = event.detail.ctx.response;
    // A command's answer is empty.
    if (refuses(raw) || raw.status === 204) event.preventDefault();
    if (raw.status !== 204) return;
    said.textContent = said.dataset[event.target.value] ?? "";
    tick();
  });
  const place = new Place();
  document.addEventListener("htmx:before:swap", () => place.remember());
  document.addEventListener("htmx:after:swap", () => place.keep());
  document.addEventListener("htmx:after:request", () => {
    const now = toDecide();
    if (now === undefined || now === known) return;
    known = now;
    const words = now === "1" ? said.dataset.one : said.dataset.many;
    said.textContent = words.replace("{count}", now);
  });
  document.addEventListener("htmx:error", () => {
    if (main.contains(said)) said.textContent = main.dataset.lost;
  });
}

function watchNews() {
  every(async () => {
    try {
      const response = await fetch(news.dataset.path);
      if (refuses(response) || news.firstChild) return;
      if (!(await response.json()).changed) return;
      const link = document.createElement("a");
      link.href = news.dataset.here + window.location.search;
      link.textContent = news.dataset.link;
      news.append(news.dataset.words, " ", link);
    } catch {
      // The server does not answer; the next time tells.
    }
  });
}

// A second click is not a second decision; one that was broken off can be made again.
main.addEventListener("submit", (event) => {
  const form = event.target.closest(".decide form, .purpose form");
  if (!form) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, AGAIN_AFTER_MS);
});

watchWay(queue);
if (queue) watchQueue();
if (news) {
  watchNews();
  watchSelections(main);
  watchReplays(main);
}
watchKeys(document.getElementById("keys"), document.getElementById("show-keys"));

// A page from the back-forward cache may be old, or no longer this reader's.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});
