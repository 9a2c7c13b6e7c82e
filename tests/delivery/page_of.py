"""The body of a message on a page, swapped as htmx swaps it."""

import re
from collections.abc import Iterable

from chat.delivery.frames import Fragment, groups


class Swapped:
    """``html`` is what is in the body, ``approvals`` what the user is asked under it."""

    def __init__(self, message_id: int, html: str = "") -> None:
        self.message_id, self.html, self.approvals = message_id, html, ""

    def take(self, fragments: Iterable[Fragment]) -> None:
        for group in groups(fragments):
            # As htmx does it: all targets are looked up before anything is swapped.
            made = [fragment.target for fragment in group if fragment.swap == "outerHTML"]
            assert len(made) == len(set(made)), group
            for fragment in group:
                target = fragment.target.removeprefix("#")
                if target.startswith(("call-", "arguments-", "tail-", "caret-", "answer-")):
                    assert f'id="{target}"' in self.html, (target, group)
            self._take(group)

    def _take(self, group: Iterable[Fragment]) -> None:
        for fragment in group:
            target = fragment.target.removeprefix("#")
            if target == f"body-{self.message_id}":
                self.html = fragment.content
            elif target == f"approvals-{self.message_id}":
                self.approvals = fragment.content
            elif target != "status":
                self._swap(target, fragment)

    def _swap(self, target: str, fragment: Fragment) -> None:
        begin = re.search(rf'<(\w+)[^>]*\bid="{re.escape(target)}"[^>]*>', self.html)
        assert begin is not None, f"no {target} in {self.html}"
        end = self._end(begin)
        inner_end = self.html.rindex("</", 0, end)
        a, b = {
            "beforebegin": (begin.start(), begin.start()),
            "innerHTML": (begin.end(), inner_end),
            "outerHTML": (begin.start(), end),
            "beforeend": (inner_end, inner_end),
        }[fragment.swap]
        self.html = self.html[:a] + fragment.content + self.html[b:]

    def _end(self, begin: re.Match[str]) -> int:
        depth = 0
        for tag in re.finditer(rf"<(/?){begin[1]}\b[^>]*>", self.html[begin.start() :]):
            depth += -1 if tag[1] else 1
            if depth == 0:
                return begin.start() + tag.end()
        raise AssertionError(f"{begin[0]} is not closed")

    def words(self) -> str:
        """Its elements and words, without what only a running reply has."""
        html = re.sub(r'<div class="tail"[^>]*>(.*)</div>$', r"\1", self.html, flags=re.DOTALL)
        html = re.sub(r'<span class="caret"[^>]*></span>', "", html)
        return re.sub(r">\s+|\s+<", lambda found: found[0].strip(), " ".join(html.split()))
