"""Which link targets are allowed, and how a page shows where a link leads.

A model's text is hostile input: a link may say one thing and lead to another, and an image's
address can carry the conversation to a stranger's server the moment a browser loads it. So links
name their host unless the text is that host, and images are links that nobody follows by accident.
"""

import re
from html import escape
from typing import Any

from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from chat.delivery.markdown.labels import Labels

SCHEMES = frozenset({"http", "https", "mailto"})

# What a browser takes as the host must be what we show, so anything that parsers disagree about
# (a backslash, a percent sign in the host, a missing slash) is not a link. Hosts are punycode
# already: markdown-it's normalizeLink has encoded them.
WEB = re.compile(
    r"https?://(?:[^/?#]*@)?([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d*)?(?:[/?#].*)?", re.IGNORECASE
)
MAIL = re.compile(r"mailto:([^?]+@[^?]+)(?:\?.*)?", re.IGNORECASE)
UNSAFE = re.compile(r"[^!-~]|\\")

VISIBLE_HOST = re.compile(r"(?:https?://)?([^/?#:]+)(?::\d+)?(?:[/?#].*)?", re.IGNORECASE)

# linkify-it looks ahead as far as it is let to; a longer address stays text.
MAX_URL = 2_000
BARE_SCHEME = re.compile(r"(?<![A-Za-z0-9.+-])(?:https?|mailto)\Z", re.IGNORECASE)


def destination(href: str) -> str | None:
    """What to show as the target of ``href``: a host or a mail address; None if forbidden."""
    if UNSAFE.search(href):
        return None
    match = WEB.fullmatch(href) or MAIL.fullmatch(href)
    return match[1].lower() if match else None


def bare_url(state: StateInline, silent: bool) -> bool:
    """Inline rule: make a link of an address that starts with http://, https:// or mailto:.

    Stands in for markdown-it's own rule, which also takes every other scheme and reads the whole
    rest of the text at each ``://``, so that a text full of them takes quadratic time.
    """
    colon = state.pos
    if state.src[colon] != ":" or state.linkLevel > 0:
        return False
    match = BARE_SCHEME.search(state.src[max(0, colon - 7) : colon])
    if match is None or not state.pending.endswith(match[0]):
        return False
    start = colon - len(match[0])
    text = state.src[start : min(state.posMax, start + MAX_URL)]
    linkify: Any = state.md.linkify
    link = linkify.match_at_start(text)
    if link is None or link.last_index >= MAX_URL:
        return False
    url: str = link.url.rstrip("*")  # a closing ** is not part of the address
    if not silent:
        state.pending = state.pending[: -len(match[0])]
        opening = state.push("link_open", "a", 1)
        opening.attrs = {"href": state.md.normalizeLink(url)}
        state.push("text", "", 0).content = state.md.normalizeLinkText(url)
        state.push("link_close", "a", -1)
    state.pos = start + len(url)
    return True


def safe_links(tokens: list[Token], labels: Labels) -> list[Token]:
    """Inline tokens with honest links: forbidden ones become text, images become links."""
    out: list[Token] = []
    target: str | None = None
    inside = False
    for token in tokens:
        if token.type == "link_open":
            inside, first = True, len(out)
            target = destination(str(token.attrs.get("href", "")))
            if target:
                token.attrs = {"href": token.attrs["href"]}
                out.append(token)
            elif token.markup == "autolink":
                out.append(_text("<"))
        elif token.type == "link_close":
            inside = False
            if target:
                out += _link_end(token, plain_text(out[first + 1 :]), target)
            elif token.markup == "autolink":
                out.append(_text(">"))
        elif token.type == "image":
            out += _image(token, labels, linked=inside)
        else:
            out.append(token)
    return out


def plain_text(tokens: list[Token]) -> str:
    """The text that a reader sees of inline tokens."""
    return "".join(
        plain_text(token.children or [])
        if token.type == "image"
        else " "
        if token.type in ("softbreak", "hardbreak")
        else token.content
        for token in tokens
    )


def _image(token: Token, labels: Labels, *, linked: bool) -> list[Token]:
    """An image as a link to it, or as text where a link cannot stand (links do not nest)."""
    alt = plain_text(token.children or []).strip()
    text = f"{labels.image}: {alt}" if alt else labels.image
    href = str(token.attrs.get("src", ""))
    target = None if linked else destination(href)
    if target is None:
        return [_text(text)]
    opening = Token("link_open", "a", 1, attrs={"href": href, "class": "image-link"})
    return [opening, _text(text), *_link_end(Token("link_close", "a", -1), text, target)]


def _link_end(token: Token, visible: str, target: str) -> list[Token]:
    """The end of a link, with its target behind it unless the visible text is the target."""
    if not visible.strip():
        return [_text(target), token]
    match = VISIBLE_HOST.fullmatch(visible.strip())
    if target in (visible.strip().lower(), match and match[1].lower()):
        return [token]
    host = f'<span class="link-host">{escape(target)}</span>'
    return [token, Token("html_inline", "", 0, content=host)]


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
