"""What a reader sees of an HTML page, as text.

Not a parser: the text goes to a model and is shown as text, so a page that is malformed on purpose
can spoil its own words only. It must be fast, whatever the page: nested elements cost parsers time
that grows with the square of their depth, so this scans from left to right, once.
"""

import html
import re

NAME = re.compile(r"/?([a-z][a-z0-9-]{0,30})")
MARK = re.compile(r"[>\"']")
# ``lower()`` may change the length of a text: of ASCII letters only.
LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
UNREAD = {"script", "style", "template", "svg", "noscript", "iframe", "object", "select"}
INLINE = {
    *("a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "dfn", "em", "font", "i", "kbd"),
    *("label", "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "u"),
    *("var", "wbr", "img", "input", "button", "del", "ins"),
}
CELLS = {"td", "th"}


def readable(page: str) -> str:
    """The page's text, a line per block, entities resolved, scripts and styles left out."""
    folded = page.translate(LOWER)
    pieces: list[str] = []
    position = 0
    while (start := page.find("<", position)) >= 0:
        pieces.append(page[position:start])
        name = NAME.match(folded, start + 1)
        if folded.startswith("<!--", start):
            position = _after(folded, "-->", start)
        elif name is not None:
            position = _end_of_tag(folded, start)
            if name[1] in UNREAD and not name[0].startswith("/"):
                position = _after(folded, f"</{name[1]}", position)
                position = _end_of_tag(folded, position)
            pieces.append(_between(name))
        elif folded.startswith(("<!", "<?"), start):
            position = _after(folded, ">", start)
        else:
            pieces.append("<")
            position = start + 1
    pieces.append(page[position:])
    return _tidied(html.unescape("".join(pieces)))


def _between(name: re.Match[str]) -> str:
    if name[1] in INLINE:
        return ""
    if name[1] in CELLS:
        return " "
    return "\n- " if name[0] == "li" else "\n"


def _after(text: str, what: str, position: int) -> int:
    """The place after the next of these; the end of the text if there is none."""
    found = text.find(what, position)
    return len(text) if found < 0 else found + len(what)


def _end_of_tag(text: str, position: int) -> int:
    """The place after the tag's ">", which may also stand in a quoted value before.

    A quote that is never closed is passed over. That it is never closed is found out at most once
    for each kind of quote, for then none follows.
    """
    while (mark := MARK.search(text, position)) is not None:
        if mark[0] == ">":
            return mark.end()
        closed = text.find(mark[0], mark.end())
        position = mark.end() if closed < 0 else closed + 1
    return len(text)


def _tidied(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.split("\n")]
    kept = [line for line in lines if line and line != "-"]
    return "\n".join(kept)
