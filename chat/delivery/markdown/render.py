"""Blocks → HTML, and the whole HTML of a finished text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape

from markdown_it.common.utils import unescapeAll
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from chat.delivery.markdown.code import code_block, language_of
from chat.delivery.markdown.labels import ENGLISH, Labels
from chat.delivery.markdown.links import plain_text, safe_links
from chat.delivery.markdown.parse import (
    MARKUP,
    PARSER,
    Block,
    References,
    clean,
    parse_blocks,
)
from chat.delivery.markdown.sanitize import sanitize

# Characters in one paragraph, cell or heading; a longer one is shown as plain text. Nobody writes
# that, and the worst patterns (brackets) take up to 50 µs per character in one go.
MAX_INLINE = 20_000

# Characters. 256 texts of this size and their HTML take about 60 MB, typical replies 3 MB.
MAX_CACHED = 64_000

# A reply's headings stand below the page's own h1 and the h2 that names the message.
HEADINGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}

# Signs in plain text that a closing sign further on can still turn into markup.
OPENERS = "*_`~<&"


def render(text: str, labels: Labels = ENGLISH) -> str:
    """Whole, sanitised HTML of a finished text."""
    return _cached(text, labels) if len(text) <= MAX_CACHED else render_uncached(text, labels)


def render_uncached(text: str, labels: Labels = ENGLISH) -> str:
    """As ``render``, for a caller that will not ask again."""
    references: References = {}
    blocks = parse_blocks(clean(text), references)
    return sanitize(Rendering(labels, references).html(blocks))


_cached = lru_cache(maxsize=256)(render_uncached)


@dataclass(slots=True)
class Inline:
    """The HTML of one paragraph's, cell's or heading's content.

    ``open``: the signs in it that may still turn out to start something.
    """

    html: str
    open: str = ""


@dataclass(slots=True)
class Rendering:
    """One rendering of some blocks.

    ``known`` holds inline content that an earlier rendering with the same references has made;
    ``used`` collects what this one used, to be the next one's ``known``. ``work`` counts the
    characters of inline content that had to be parsed.
    """

    labels: Labels
    references: References
    coloured: bool = True
    known: dict[str, Inline] = field(default_factory=dict)
    used: dict[str, Inline] = field(default_factory=dict)
    last: Inline = field(default_factory=lambda: Inline(""))
    work: int = 0

    def html(self, blocks: Iterable[Block]) -> str:
        """The blocks' HTML, not sanitised."""
        env = {"rendering": self}
        return "".join(
            f"<p>{_literal(block.literal)}</p>\n"
            if block.literal is not None
            else _RENDERER.render(block.tokens, PARSER.options, env)
            for block in blocks
        )

    def inline(self, content: str) -> str:
        """HTML of the inline content of a paragraph, cell or heading."""
        inline = self.used.get(content) or self.known.get(content)
        if inline is None:
            inline = self._render_inline(content)
            self.work += len(content)
        self.used[content] = self.last = inline
        return inline.html

    def _render_inline(self, content: str) -> Inline:
        if not MARKUP.search(content):
            return Inline(escape(content))
        if len(content) > MAX_INLINE:
            return Inline(_literal(content))
        tokens: list[Token] = []
        env: EnvType = {"references": self.references}
        PARSER.inline.parse(content, PARSER, env, tokens)
        text = plain_text([token for token in tokens if token.type != "code_inline"])
        still_open = "".join(sign for sign in OPENERS if sign in text)
        html = _RENDERER.renderInline(safe_links(tokens, self.labels), PARSER.options, env)
        return Inline(html, still_open + ("]" if "](" in text else ""))


def _literal(text: str) -> str:
    return escape(text).replace("\n", "<br>\n")


class _Renderer(RendererHTML):
    """markdown-it's renderer with our code blocks, tables, headings and task lists.

    Its methods are named after the token types that they render.
    """

    def render(self, tokens: Sequence[Token], options: OptionsDict, env: EnvType) -> str:
        out = []
        for index, token in enumerate(tokens):
            if token.type == "inline":
                out.append(env["rendering"].inline(token.content))
            elif token.type in self.rules:
                out.append(self.rules[token.type](tokens, index, options, env))
            else:
                out.append(self.renderToken(tokens, index, options, env))
        return "".join(out)

    def text_special(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return escape(tokens[idx].content)

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        rendering: Rendering = env["rendering"]
        language = language_of(unescapeAll(tokens[idx].info))
        return code_block(
            tokens[idx].content, language, rendering.labels, coloured=rendering.coloured
        )

    def code_block(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return code_block(tokens[idx].content, "", env["rendering"].labels, coloured=False)

    def heading_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return f"<{HEADINGS[tokens[idx].tag]}>"

    def heading_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return f"</{HEADINGS[tokens[idx].tag]}>\n"

    def list_item_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        html = self.renderToken(tokens, idx, options, env)
        if "checked" not in tokens[idx].meta:
            return html
        labels: Labels = env["rendering"].labels
        done = bool(tokens[idx].meta["checked"])
        return (
            f'{html}<input class="task-list-item-checkbox" type="checkbox" disabled'
            f"{' checked' if done else ''}"
            f' aria-label="{escape(labels.task_done if done else labels.task_open)}"> '
        )

    def table_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        # A wide table scrolls by itself, also by keyboard, so it must be focusable and named.
        label = escape(env["rendering"].labels.table)
        return f'<div class="table-wrap" tabindex="0" role="region" aria-label="{label}"><table>\n'

    def table_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _cell(tokens[idx])

    def td_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _cell(tokens[idx])


def _cell(token: Token) -> str:
    """A cell's opening tag; the alignment is a class, because our policy allows no styles."""
    align = str(token.attrs.get("style", "")).removeprefix("text-align:")
    return f'<{token.tag} class="align-{align}">' if align else f"<{token.tag}>"


_RENDERER = _Renderer(PARSER)
