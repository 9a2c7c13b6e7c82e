"""A text that streams in: any pieces end in the same page, and nothing is lost on the way."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.delivery.markdown import Close, MarkdownStream, Reset, Tail, Text, render
from chat.delivery.markdown.lines import is_settled
from tests.delivery.markdown_page import (
    CARET,
    NO_WORDS,
    Page,
    cut,
    is_within,
    letters,
    streamed,
    words,
)
from tests.delivery.markdown_samples import HOSTILE, SAMPLES

ALPHABET = [
    *("a", "b ", "word ", "\n", "\n\n", "  ", "    ", "\t", "\r\n", "\r"),
    *("- ", "* ", "+ ", "1. ", "2) ", "10. ", "> ", "- [ ] ", "- [x] "),
    *("# ", "## ", "#", "===", "---", "***", "=\n", "---\n", "```", "```py\n", "````\n", "~~~"),
    *("|", "a|b\n", "|---|---|\n", "|:-:|", "| c | d |\n"),
    *("*", "**", "_", "~~", "`", "``", "\\", "&", "&amp;", "<", ">", "<b>", "</div>", "'", '"'),
    *("[", "]", "(", ")", "](", "![", "[a]", "[a]: /u\n", "[a]: http://h/u\n", "[a]:\n", "'t'\n"),
    *(
        "[x](http://x.y)",
        "[x](javascript:1)",
        "http://x.y/z",
        "mailto:a@b.c ",
        "<http://a.b>",
        "://",
    ),
    *("é", "👩‍👧", "\x00", "\ud800", "\u2028", "\x0c", "\ufeff", "\xa0"),
]
texts = st.lists(st.sampled_from(ALPHABET), max_size=25).map("".join)
seeds = st.integers(0, 2**32)


def check(pieces: list[str]) -> None:
    page = streamed(pieces)
    assert page.tail == ""
    assert page.closed == render("".join(pieces))


@pytest.mark.parametrize("text", SAMPLES + HOSTILE)
def test_any_pieces_of_a_sample_end_in_the_same_page(text: str):
    check([text])
    check(list(text))
    for seed in range(6):
        check(cut(text, seed, longest=3 + 2 * seed))


@pytest.mark.parametrize("text", [text for text in SAMPLES + HOSTILE if len(text) <= 80])
def test_a_sample_may_be_cut_anywhere(text: str):
    for at in range(len(text) + 1):
        check([text[:at], text[at:]])


@pytest.mark.parametrize("seed", range(4))
def test_samples_one_after_another_end_in_the_same_page(seed: int):
    for joint in ("", "\n", "\n\n"):
        check(cut(joint.join(SAMPLES[seed::8] + SAMPLES[seed:30:7]), seed))


@given(texts, seeds)
def test_any_pieces_of_any_text_end_in_the_same_page(text: str, seed: int):
    check(cut(text, seed))


@given(st.text(max_size=60), seeds)
def test_no_character_upsets_the_stream(text: str, seed: int):
    check(cut(text, seed))


@pytest.mark.parametrize("text", SAMPLES)
@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_lost_or_repeated_on_the_way(text: str, seed: int):
    stream = MarkdownStream(NO_WORDS, CARET)
    page = Page(stream)
    fed = ""
    for piece in cut(text, seed):
        page.apply(stream.feed(piece))
        fed += piece
        shown = words(page.html)
        assert is_within(words(render(fed, NO_WORDS)), shown)
        assert is_within(shown, letters(fed))


@pytest.mark.parametrize("text", SAMPLES)
@pytest.mark.parametrize("seed", range(2))
def test_a_viewer_that_joins_late_ends_with_the_same_page(text: str, seed: int):
    stream = MarkdownStream(caret=CARET)
    pages = []
    for piece in cut(text, seed, longest=20):
        pages.append(Page(stream))
        ops = stream.feed(piece)
        for page in pages:
            page.apply(ops)
            assert page.html == stream.html()
    ops = stream.finish()
    for page in pages:
        page.apply(ops)
        assert (page.closed, page.tail) == (render(text), "")


@given(texts, seeds)
def test_every_tail_holds_the_caret_once(text: str, seed: int):
    stream = MarkdownStream(caret=CARET)
    assert stream.tail_html == CARET
    for piece in cut(text, seed):
        stream.feed(piece)
        assert stream.tail_html.count(CARET) == 1
    stream.finish()
    assert stream.tail_html == ""


@pytest.mark.parametrize(
    ("text", "tail"),
    [
        ("word ", "<p>word ^</p>\n"),
        ("a **b** ", "<p>a <strong>b</strong> ^</p>\n"),
        ("a `b` ", "<p>a <code>b</code> ^</p>\n"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b^</li>\n</ul>\n"),
        ("> a\n> - b", "<blockquote>\n<p>a</p>\n<ul>\n<li>b^</li>\n</ul>\n</blockquote>\n"),
        ("# Title", "<h3>Title^</h3>\n"),
        ("```\ncode", '<code class="highlight">code^</code></pre></div>\n'),
        ("    code", '<code class="highlight">code^</code></pre></div>\n'),
        ("- a\n\n  ```\n  code", "code^</code></pre></div>\n</li>\n</ul>\n"),
        ("a|b\n-|-\nc", "<td>c^</td>\n</tr>\n</tbody>\n</table></div>\n"),
        ("a|b\n-|-\nc | d", "<td>c</td>\n<td>d^</td>\n</tr>\n</tbody>\n</table></div>\n"),
        ("|a|b|\n|-|-|\n|c|", "<td>c</td>\n<td>^</td>\n</tr>\n</tbody>\n</table></div>\n"),
    ],
)
def test_the_caret_stands_where_the_next_word_belongs(text: str, tail: str):
    stream = MarkdownStream(caret="^")
    stream.feed(text)
    assert stream.tail_html.endswith(tail)


def test_plain_text_is_appended_as_it_stands():
    stream = MarkdownStream(caret=CARET)
    stream.feed("Once")
    assert stream.feed(" upon a time, (there) was") == [Text(" upon a time, (there) was")]
    assert stream.feed(" ") == [Text(" ")]
    assert stream.feed("a < b") == [Text("a &lt; b")]


def test_markup_is_shown_when_it_is_complete():
    stream = MarkdownStream(caret="^")
    stream.feed("a")
    assert stream.feed(" **bo") == [Text(" **bo")]
    assert stream.feed("ld**") == [Text("ld**")]
    assert stream.feed(" c") == [Tail("<p>a <strong>bold</strong> c^</p>\n")]


def test_a_paragraph_closes_at_the_blank_line_behind_it():
    stream = MarkdownStream(caret="^")
    stream.feed("One.")
    assert stream.feed("\n\n") == [Close("<p>One.</p>\n"), Tail("^")]


def test_the_start_of_a_line_waits_until_it_shows_what_it_is():
    stream = MarkdownStream(caret="^")
    stream.feed("One.\n")
    assert stream.feed("-") == []
    assert stream.feed(" ") == []
    assert stream.feed("item") == [
        Close("<p>One.</p>\n"),
        Tail("<ul>\n<li>item^</li>\n</ul>\n"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        ">",
        "- ",
        "12",
        "12.",
        "1. ",
        "- [",
        "[x",
        "- [x",
        "[ ] ",
        "#",
        "##",
        "=",
        "--",
        "* *",
        "|",
        ":",
        "|:-:|",
        "``",
        "```py",
        "> ```a b",
        "~~~ a ~",
        "\u2028",
        "1. - > ",
    ],
)
def test_a_line_is_open_while_it_may_become_something_else(line: str):
    assert not is_settled(line)


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "- a",
        "> a",
        "12 ",
        "1.5",
        "1234567890",
        "[xy",
        "[link",
        "- [x] a",
        "# a",
        "**b",
        "= a",
        "| a",
        "`a",
        "``a",
        "```a`",
        "~~a",
        "é",
        "“",
        "(",
        "1) é",
    ],
)
def test_a_line_is_settled_when_it_cannot(line: str):
    assert is_settled(line)


def test_a_definition_shows_as_text_until_its_line_ends():
    stream = MarkdownStream(caret="^")
    stream.feed("[a]: http://x.y")
    assert stream.tail_html == "[a]: http://x.y^"
    stream.feed(" <z")
    assert stream.tail_html == "[a]: http://x.y &lt;z^"
    stream.feed("\n\n[a]: http://x.y\n\nb")
    assert stream.html() == render("[a]: http://x.y <z\n\nb").replace("b</p>", "b^</p>")


def test_code_is_appended_line_by_line_and_coloured_when_it_closes():
    stream = MarkdownStream(caret="^")
    stream.feed("```python\n")
    assert stream.feed("if *a*:\n    **b\n") == [Text("if *a*:\n    **b\n")]
    assert stream.feed("``") == []
    close, tail = stream.feed("`\n")
    assert isinstance(close, Close)
    assert '<span class="k">if</span>' in close.html
    assert tail == Tail("^")


def test_backticks_that_do_not_close_the_fence_are_not_lost():
    stream = MarkdownStream(caret="^")
    stream.feed("````\n")
    assert stream.feed("```") == []
    assert stream.feed("\nx") == [Text("```\nx")]


def test_a_definition_that_comes_late_resets_the_page():
    stream = MarkdownStream(caret="^")
    text = "See [this].\n\nMore.\n\n[this]: http://a.example"
    stream.feed(text)
    assert stream.finish() == [Reset(render(text))]


def test_a_definition_that_comes_first_does_not():
    stream = MarkdownStream(caret="^")
    stream.feed("[this]: http://a.example\n\nSee [this].\n\n")
    assert stream.finish() == [Tail("")]


def test_a_text_without_late_definitions_is_not_rendered_whole(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("chat.delivery.markdown.source.render_uncached", None)
    for text in SAMPLES:
        if not re.search(r"^[ >]*\[[^\]]+\]:", text, re.MULTILINE):
            streamed(cut(text, 1))


def test_an_ended_stream_takes_no_more_text():
    stream = MarkdownStream()
    stream.feed("a")
    stream.finish()
    assert stream.finish() == []
    with pytest.raises(RuntimeError):
        stream.feed("b")


def test_an_empty_text_is_an_empty_page():
    assert MarkdownStream(caret=CARET).finish() == [Tail("")]


def test_the_renderer_knows_no_django_and_no_clock():
    package = Path(__file__).parents[2] / "chat" / "delivery" / "markdown"
    for file in package.glob("*.py"):
        imports = re.findall(
            r"^\s*(?:from|import) (\w+)(?:\.(\w+))?", file.read_text(), re.MULTILINE
        )
        assert {name for name, _ in imports}.isdisjoint({"django", "channels", "asyncio", "time"})
        assert all(second == "delivery" for first, second in imports if first == "chat")
