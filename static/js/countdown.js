/* Seconds that the page counts down by itself: `<span data-countdown="30">30 s</span>`. */
export function watchCountdowns(region) {
  let timer = null;
  const tick = (element, until) => {
    const left = Math.max(0, Math.ceil((until - performance.now()) / 1000));
    element.textContent = element.textContent.replace(/\d+([.,]\d+)?/, String(left));
    if (left === 0) clearInterval(timer);
  };
  new MutationObserver(() => {
    const element = region.querySelector("[data-countdown]:not([data-counting])");
    if (!element) return;
    element.dataset.counting = "";
    clearInterval(timer);
    const until = performance.now() + Number(element.dataset.countdown) * 1000;
    timer = setInterval(() => tick(element, until), 1000);
  }).observe(region, { childList: true, subtree: true });
}
