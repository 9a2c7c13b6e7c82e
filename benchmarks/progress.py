"""What goes on, on the terminal: long work says how far it is, every few seconds."""

import sys
import time

EVERY_S = 5.0


def say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


class Count:
    """Counts up to ``total`` of something: ``Count(300, "pages opened").add()``."""

    def __init__(self, total: int, what: str) -> None:
        self._total, self._what = total, what
        self._done = 0
        self._said = time.monotonic()

    def add(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._said >= EVERY_S:
            self._said = now
            say(f"  {self._done:,} of {self._total:,} {self._what}")
