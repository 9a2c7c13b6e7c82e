"""Code blocks and their highlighting."""

import re
from html import escape

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from chat.delivery.markdown.labels import Labels

# Characters. Pygments and the sanitiser take about 3 µs per character, so a block of this size
# holds an event loop up for 0.1 s. Longer code is shown without colours.
MAX_HIGHLIGHTED = 32_000

# The label comes from the model and ends up in a class name.
LANGUAGE = re.compile(r"[A-Za-z0-9_+#.-]{1,32}")

# Names, punctuation and white space make up most of the spans and carry no colour.
COLOURLESS = re.compile(r'<span class="(?:n|p|w)">([^<]*)</span>')

_formatter = HtmlFormatter(nowrap=True)


def language_of(info: str) -> str:
    """The language in a fence's info string, or an empty string if it is not a plain name."""
    words = info.split(maxsplit=1)
    return words[0] if words and LANGUAGE.fullmatch(words[0]) else ""


def code_block(code: str, language: str, labels: Labels, *, coloured: bool) -> str:
    """HTML of a code block with its head: the language and a button that copies the code."""
    colours = f" language-{language}" if language else ""
    return (
        '<div class="code-block"><div class="code-head">'
        f'<span class="code-lang">{escape(language)}</span>'
        f'<button type="button" class="copy-code">{escape(labels.copy)}</button></div>'
        f'<pre tabindex="0"><code class="highlight{colours}">'
        f"{_highlighted(code, language) if coloured else escape(code, quote=False)}"
        "</code></pre></div>\n"
    )


def _highlighted(code: str, language: str) -> str:
    lexer = _lexer(language) if language and len(code) <= MAX_HIGHLIGHTED else None
    if lexer is None:
        return escape(code, quote=False)
    html = highlight(code, lexer, _formatter)
    if not code.endswith("\n"):  # the formatter ends every line, the last one too
        html = html.removesuffix("\n")
    return COLOURLESS.sub(r"\1", html)


def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
