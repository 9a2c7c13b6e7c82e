/* Follows the newest text; lets go when the reader scrolls up, and offers the way back. */
const NEAR_PX = 32;

export class Follower {
  constructor(viewport, content, button) {
    this.viewport = viewport;
    this.button = button;
    this.following = true;
    this.last = 0;

    viewport.addEventListener("scroll", () => this.scrolled(), { passive: true });
    button.addEventListener("click", () => this.stick());
    const observer = new ResizeObserver(() => this.grown());
    observer.observe(content);
    observer.observe(viewport);
    this.stick();
  }

  get distance() {
    const { scrollHeight, scrollTop, clientHeight } = this.viewport;
    return scrollHeight - scrollTop - clientHeight;
  }

  scrolled() {
    const top = this.viewport.scrollTop;
    // Only a movement upwards lets go: content that grows moves nothing up.
    if (top < this.last && this.distance > NEAR_PX) this.following = false;
    else if (this.distance <= NEAR_PX) this.following = true;
    this.last = top;
    this.button.hidden = this.following;
  }

  grown() {
    if (this.following) this.toEnd();
    else this.button.hidden = this.distance <= NEAR_PX;
  }

  /** Stay here, whatever comes below. */
  release() {
    this.following = false;
    this.button.hidden = this.distance <= NEAR_PX;
  }

  /** Move by so much: what was replaced above the reader's eyes has another height. */
  shift(distance) {
    this.viewport.scrollTop += distance;
    this.following = this.distance <= NEAR_PX;
    this.last = this.viewport.scrollTop;
    this.button.hidden = this.following;
  }

  stick() {
    this.following = true;
    this.button.hidden = true;
    this.toEnd();
  }

  toEnd() {
    this.viewport.scrollTop = this.viewport.scrollHeight;
    this.last = this.viewport.scrollTop;
  }
}
