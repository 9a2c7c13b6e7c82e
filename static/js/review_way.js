/* The way through the lists: where a page begins, what comes next, and back. */
const KEPT_AS = "parley.review.list"; // per tab: two lists may be worked through side by side

/** Links that lead on lead through the list that one came from, with its filters and order. */
function followList(list) {
  const chosen = new URLSearchParams(list);
  chosen.delete("page");
  for (const link of document.querySelectorAll("[data-next]")) {
    const url = new URL(link.href);
    for (const [name, value] of chosen) url.searchParams.append(name, value);
    link.href = url;
  }
  for (const link of document.querySelectorAll("[data-back]")) link.search = list;
}

export function watchWay(queue) {
  if (queue) {
    sessionStorage.setItem(KEPT_AS, window.location.search);
    return;
  }
  followList(sessionStorage.getItem(KEPT_AS) ?? "");
  const begin =
    document.getElementById("refused") ??
    document.querySelector('.field [aria-invalid="true"]') ??
    document.getElementById(window.location.hash.slice(1)) ??
    document.querySelector(".purpose .choices input") ??
    document.querySelector(".turn-waits");
  begin?.focus({ preventScroll: begin.matches(".turn") });
}

/** Who was in a row that has left the list goes on at its place. */
export class Place {
  remember() {
    const rows = [...document.querySelectorAll(".row")];
    this.at = rows.findIndex((row) => row.contains(document.activeElement));
  }

  keep() {
    if (this.at < 0 || document.activeElement !== document.body) return;
    const links = document.querySelectorAll(".row-link");
    (links[Math.min(this.at, links.length - 1)] ?? document.getElementById("main")).focus();
  }
}
