"""Code blocks and their highlighting."""

import re
from functools import cache
from html import escape

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name

from chat.delivery.markdown.labels import Labels

# The languages that are highlighted, by the names that models give them. Pygments has ten times as
# many, and each is a set of regular expressions that hostile code can slow down.
LANGUAGES = """
    bash c c# c++ clojure console cpp cs csharp css dart diff docker dockerfile elixir erlang go
    golang graphql haskell hcl html ini java javascript js json jsx julia kotlin latex lua make
    makefile markdown matlab md nginx objective-c perl php postgresql powershell py python python3
    r rb rs ruby rust scala scss sh shell sql swift terraform tex toml ts tsx typescript xml yaml
    yml zig zsh
"""
COLOURED = frozenset(LANGUAGES.split())

# Characters. Many of Pygments' expressions take time that grows with the square of the length
# when nothing ends them: 4,000 characters of "a\n" kept its C# lexer busy for five seconds. So long
# code, and code with a long line or a long stretch without punctuation, is shown without colours.
MAX_COLOURED = 16_000
UNENDING = re.compile(r"[^\n]{400}|[\w\s]{400}")

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
    colours = f" language-{language.lower()}" if language.lower() in COLOURED else ""
    return (
        '<div class="code-block"><div class="code-head">'
        f'<span class="code-lang">{escape(language)}</span>'
        f'<button type="button" class="copy-code">{escape(labels.copy)}</button></div>'
        f'<pre tabindex="0"><code class="highlight{colours}">'
        f"{_highlighted(code, language) if coloured else escape(code, quote=False)}"
        "</code></pre></div>\n"
    )


def _highlighted(code: str, language: str) -> str:
    name = language.lower()
    if name not in COLOURED or len(code) > MAX_COLOURED or UNENDING.search(code):
        return escape(code, quote=False)
    html = highlight(code, _lexer(name), _formatter)
    if not code.endswith("\n"):  # the formatter ends every line, the last one too
        html = html.removesuffix("\n")
    return COLOURLESS.sub(r"\1", html)


@cache
def _lexer(name: str) -> Lexer:
    return get_lexer_by_name(name, stripnl=False, ensurenl=False)
