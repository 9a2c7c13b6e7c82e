"""Model output is hostile input: whatever it says, only our own elements reach a page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.delivery.markdown import MarkdownStream, Text, render
from tests.delivery.markdown_page import CARET, Page, cut, read
from tests.delivery.markdown_samples import HOSTILE, SAMPLES

ALLOWED = {
    "a": {"href", "class", "rel", "target"},
    "button": {"type", "class"},
    "code": {"class"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "input": {"type", "class", "checked", "disabled", "aria-label"},
    "li": {"class"},
    "ol": {"start", "class"},
    "pre": {"tabindex"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class"},
    "ul": {"class"},
}
BARE = "p br hr h3 h4 h5 h6 blockquote em strong s table thead tbody tr"
ALLOWED |= {tag: set() for tag in BARE.split()}

CONTEXTS = [
    "{}",
    "before {} after",
    "# {}",
    "- {}\n- x",
    "> {}",
    "**{}**",
    "`{}`",
    "| {} | b |\n|---|---|\n| c | {} |",
    "[{}](http://a.b)",
    "[x](http://a.b '{}')",
    "[x](<{}>)",
    "![{}](http://a.b)",
    "![x]({})",
    "<{}>",
    "```{}\ncode\n```",
    "```\n{}\n```",
    "[r]: http://a.b '{}'\n\n[r]",
    "[r]: {}\n\n[r] ![r]",
    "http://a.b/{}",
]


def check(html: str) -> None:
    for tag, attributes in read(html.replace(CARET, "")).tags:
        assert tag in ALLOWED, html
        assert attributes.keys() <= ALLOWED[tag], html
        if tag == "a" and "href" in attributes:
            href = attributes["href"] or ""
            assert href.startswith(("http://", "https://", "mailto:")), html
            assert attributes["rel"] == "noopener noreferrer nofollow"
            assert attributes["target"] == "_blank"
        if tag == "a":
            assert "href" in attributes, html


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_but_our_own_elements_reaches_a_page(text: str):
    for context in CONTEXTS:
        for attack in (text, text.replace("\n", " ")):
            check(render(context.replace("{}", attack)))


@pytest.mark.parametrize("text", HOSTILE + SAMPLES)
def test_nothing_but_our_own_elements_reaches_a_page_while_it_streams(text: str):
    for seed in range(2):
        stream = MarkdownStream(caret=CARET)
        page = Page(stream)
        for piece in cut(text, seed, longest=1 + 7 * seed):
            ops = stream.feed(piece)
            page.apply(ops)
            check(page.html)
            assert not any("<" in op.html for op in ops if isinstance(op, Text))
        page.apply(stream.finish())
        check(page.html)


@given(st.lists(st.sampled_from(HOSTILE + CONTEXTS + ["\n", "\n\n", "- ", "> ", "`"]), max_size=6))
def test_no_mixture_of_attacks_gets_through(parts: list[str]):
    check(render("".join(parts)))


def test_nothing_loads_by_itself():
    for text in HOSTILE:
        tags = {tag for tag, _ in read(render(text)).tags}
        assert tags.isdisjoint({"img", "script", "style", "link", "iframe", "svg", "object"})


def test_the_sanitiser_stops_what_the_renderer_would_let_through():
    from chat.delivery.markdown.sanitize import sanitize

    for text in HOSTILE:
        check(sanitize(f"<p>{text}</p>").replace("<a target", '<a href="http://-" target'))
