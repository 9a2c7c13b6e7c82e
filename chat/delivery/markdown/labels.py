"""The words that the renderer puts into a page."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Labels:
    """Words in the viewer's language. The renderer escapes them; the caller translates them."""

    copy: str = "Copy"
    image: str = "Image"
    table: str = "Table"
    task_done: str = "Done"
    task_open: str = "To do"


ENGLISH = Labels()
