"""The allow-list that every piece of rendered HTML passes: defence in depth.

The renderer never passes raw HTML through, so nothing here should ever have to be removed. If a
bug in the parser or the renderer lets something through, this is what stops it: no ``style``,
``id``, ``data-*``, ``hx-*`` or ``on*`` attribute, no class that we do not emit ourselves.
"""

import nh3
from pygments.token import STANDARD_TYPES

from chat.delivery.markdown.code import COLOURED
from chat.delivery.markdown.links import SCHEMES

# htmx reads `data-hx-get` as it reads `hx-get`, so not one `data-*` attribute is on this list.
ATTRIBUTES = {
    "a": {"href"},
    "button": {"type"},
    "div": {"tabindex", "role", "aria-label"},
    "input": {"type", "checked", "disabled", "aria-label"},
    "ol": {"start"},
    "pre": {"tabindex"},
}

CLASSES = {
    "a": {"image-link"},
    "button": {"copy-code"},
    "code": {"highlight"} | {f"language-{name}" for name in COLOURED},
    "div": {"code-block", "code-head", "table-wrap"},
    "input": {"task-list-item-checkbox"},
    "li": {"task-list-item"},
    "ol": {"contains-task-list"},
    "span": {"code-lang", "link-host"} | {name for name in STANDARD_TYPES.values() if name},
    "td": {"align-left", "align-center", "align-right"},
    "th": {"align-left", "align-center", "align-right"},
    "ul": {"contains-task-list"},
}

TAGS = (
    {"p", "br", "hr", "h3", "h4", "h5", "h6", "blockquote", "em", "strong", "s"}
    | {"table", "thead", "tbody", "tr"}
    | CLASSES.keys()
    | ATTRIBUTES.keys()
)

_cleaner = nh3.Cleaner(
    tags=TAGS,
    attributes=ATTRIBUTES,
    allowed_classes=CLASSES,
    # Set here and not in the renderer, so that no link can be without them.
    link_rel="noopener noreferrer nofollow",
    set_tag_attribute_values={"a": {"target": "_blank"}},
    url_schemes=set(SCHEMES),
    url_relative="deny",
)


def sanitize(html: str) -> str:
    """Return ``html`` with everything removed that is not on the allow-list.

    Cleaning pieces and joining them gives the same as cleaning the whole, as long as each piece
    closes every element that it opens. The renderer's pieces do.
    """
    return _cleaner.clean(html) if html else ""
