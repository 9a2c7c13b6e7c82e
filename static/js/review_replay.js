/* A reply once more, at the pace at which it came. */

/** How much of text and thoughts was there at a time. ``points`` are [ms, text, thoughts]. */
export function shownAt(points, ms) {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= ms) low = middle + 1;
    else high = middle;
  }
  return low ? points[low - 1] : [0, 0, 0];
}

/** The moment after this one at which something came; the last one when nothing does. */
export function nextAfter(points, ms) {
  return (points.find(([at]) => at > ms) ?? points.at(-1))[0];
}

class Replay {
  constructor(root) {
    this.root = root;
    for (const part of ["open", "play", "step", "scrub", "time", "speed", "thoughts", "text", "said"]) {
      this[part] = root.querySelector(`[data-${part}]`);
    }
    this.player = root.querySelector(".replay-player");
    this.at = 0;
    this.isPlaying = false;
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    root.hidden = false;
    this.open.addEventListener("click", () => this.toggle());
    this.play.addEventListener("click", () => (this.isPlaying ? this.pause() : this.start()));
    this.step.addEventListener("click", () => {
      this.pause();
      this.seek(nextAfter(this.points, this.at));
    });
    this.scrub.addEventListener("input", () => this.seek(Number(this.scrub.value)));
  }

  async toggle() {
    const opens = this.player.hidden;
    this.player.hidden = !opens;
    this.open.setAttribute("aria-expanded", String(opens));
    if (!opens) return this.pause();
    if (!this.points && !(await this.load())) return;
    this.play.hidden = this.calm.matches; // then it goes step by step
    if (!this.calm.matches) this.start();
    else this.seek(0);
  }

  async load() {
    try {
      const response = await fetch(this.root.dataset.replay);
      if (response.redirected || !response.ok) throw new Error(String(response.status));
      const { text, reasoning, points } = await response.json();
      // Counted in characters, as the server does; a string here is counted in UTF-16.
      this.letters = [...text];
      this.thinking = [...reasoning];
      this.points = points;
      this.scrub.max = String(points.at(-1)[0]);
      return true;
    } catch {
      this.said.textContent = this.root.dataset.failed;
      return false;
    }
  }

  start() {
    if (this.at >= Number(this.scrub.max)) this.seek(0);
    this.isPlaying = true;
    this.play.textContent = this.play.dataset.pauseWord;
    let before = performance.now();
    const frame = (now) => {
      if (!this.isPlaying) return;
      this.seek(this.at + (now - before) * Number(this.speed.value));
      before = now;
      if (this.at >= Number(this.scrub.max)) this.pause();
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  pause() {
    this.isPlaying = false;
    this.play.textContent = this.play.dataset.playWord;
  }

  seek(ms) {
    const end = Number(this.scrub.max);
    this.at = Math.min(Math.max(ms, 0), end);
    const [, characters, thoughts] = shownAt(this.points, this.at);
    const text = this.letters.slice(0, characters).join("");
    if (this.text.textContent !== text) this.text.textContent = text;
    this.thoughts.textContent = this.thinking.slice(0, thoughts).join("");
    this.scrub.value = String(Math.round(this.at));
    this.time.textContent = `${(this.at / 1000).toFixed(1)} / ${(end / 1000).toFixed(1)} s`;
    this.scrub.setAttribute("aria-valuetext", this.time.textContent);
  }
}

export function watchReplays(main) {
  for (const root of main.querySelectorAll("[data-replay]")) new Replay(root);
}
