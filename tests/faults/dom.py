"""A page's elements, and the swaps that its stream makes: the text on screen without a browser."""

import json
from collections.abc import Iterator
from html.parser import HTMLParser

VOID = {"br", "hr", "img", "input", "link", "meta"}


class Element:
    def __init__(self, tag: str, attributes: dict[str, str], parent: "Element | None") -> None:
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children: list[Element | str] = []

    def elements(self) -> Iterator["Element"]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.elements()

    def find(self, **attributes: str) -> "Element | None":
        """The last element below with these attributes; ``_`` for ``-`` in a name."""
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        found = None
        for element in self.elements():
            if wanted.items() <= element.attributes.items():
                found = element
        return found

    @property
    def text(self) -> str:
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    def put(self, index: int, nodes: list["Element | str"]) -> None:
        for node in nodes:
            if isinstance(node, Element):
                node.parent = self
        self.children[index:index] = nodes


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.current = Element("", {}, None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self.current)
        self.current.children.append(element)
        if tag not in VOID:
            self.current = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.current.children.append(Element(tag, {}, self.current))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.current.tag == tag, f"</{tag}> in <{self.current.tag}>"
            assert self.current.parent is not None
            self.current = self.current.parent

    def handle_data(self, data: str) -> None:
        self.current.children.append(data)


def parse(html: str) -> Element:
    builder = _Builder()
    builder.feed(html)
    builder.close()
    return builder.root


class Dom:
    """The page as it came, changed by frames."""

    def __init__(self, html: str) -> None:
        self.root = parse(html)

    def take(self, frame: str) -> None:
        """Swap in what a frame of the stream brings."""
        said = json.loads(frame)
        if "target" in said:
            self._swap(said["target"], said["swap"], parse(said["content"]).children)
            return
        for part in parse(said["content"]).children:
            assert isinstance(part, Element), part
            assert part.tag == "hx-partial", part.tag
            self._swap(part.attributes["hx-target"], part.attributes["hx-swap"], part.children)

    def _swap(self, target: str, swap: str, nodes: list[Element | str]) -> None:
        how = swap.split()[0]
        element = self.root.find(id=target.removeprefix("#"))
        if element is None:
            # A verdict may come for a version that is not on screen; words may not get lost.
            assert how in {"delete", "outerHTML"}, f"{how} at {target}, which is not there"
            return
        parent = element.parent
        assert parent is not None
        place = parent.children.index(element)
        match how:
            case "innerHTML" | "innerMorph":
                element.children = []
                element.put(0, nodes)
            case "beforeend":
                element.put(len(element.children), nodes)
            case "beforebegin":
                parent.put(place, nodes)
            case "outerHTML" | "delete":
                del parent.children[place]
                parent.put(place, nodes)
            case _:
                raise AssertionError(f"a swap that no page knows: {swap}")

    def bodies(self) -> list[str]:
        """The words of every message on screen, white space made one."""
        return [
            squeezed(element.text)
            for element in self.root.elements()
            if element.attributes.get("id", "").startswith("body-")
        ]

    def state(self) -> str:
        """What the status line says, for machines."""
        line = self.root.find(id="status")
        found = next((e for e in line.elements() if "data-state" in e.attributes), None)  # type: ignore[union-attr]
        return found.attributes["data-state"] if found is not None else ""


def squeezed(text: str) -> str:
    return " ".join(text.split())
