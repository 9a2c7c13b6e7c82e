"""The cost of a stream is linear in its length, whatever is in it: counted, not timed."""

from collections.abc import Callable

import pytest

from chat.delivery.markdown import MarkdownStream, Text
from chat.delivery.markdown import render as whole_html
from chat.delivery.markdown import source as source_module
from chat.delivery.markdown.code import MAX_COLOURED
from chat.delivery.markdown.parse import PARSER
from chat.delivery.markdown.source import MAX_OPEN

PROSE = (
    "The **scheduler** keeps a queue of ready callbacks; `call_soon` puts one there, and nothing "
    "else runs until that queue is empty (see [the docs](https://docs.example.com/a)).\n\n"
    "- Keep *each* of them short.\n- A blocking call such as `sleep(1)` stops everything.\n\n"
    "```python\nasync def main() -> None:\n    await sleep(1)\n```\n\n"
)
ROW = "| cell one | **two** | `three` | 4 |\n"
TABLE = "| a | b | c | d |\n|---|---|---|---|\n"


class Work:
    """Characters that were parsed into blocks, parsed as inline content, sanitised and sent."""

    blocks = inline = sanitised = sent = 0


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    count = Work()
    blocks, inline, sanitize = PARSER.block.parse, PARSER.inline.parse, source_module.sanitize

    def counted_blocks(src: str, *rest: object) -> object:
        count.blocks += len(src)
        return blocks(src, *rest)  # type: ignore[arg-type]

    def counted_inline(src: str, *rest: object) -> object:
        count.inline += len(src)
        return inline(src, *rest)  # type: ignore[arg-type]

    def counted_sanitize(html: str) -> str:
        count.sanitised += len(html)
        return sanitize(html)

    monkeypatch.setattr(PARSER.block, "parse", counted_blocks)
    monkeypatch.setattr(PARSER.inline, "parse", counted_inline)
    monkeypatch.setattr(source_module, "sanitize", counted_sanitize)
    return count


def run(text: str, size: int, work: Work) -> str:
    stream = MarkdownStream(caret="^")
    for at in range(0, len(text), size):
        work.sent += sum(len(op.html) for op in stream.feed(text[at : at + size]))
    work.sent += sum(len(op.html) for op in stream.finish())
    return stream.html()


def prose(length: int) -> str:
    return (PROSE * (length // len(PROSE) + 1))[:length]


CASES: dict[str, tuple[Callable[[int], str], int, int]] = {
    # what it is: text of a length, length, size of a piece
    "prose": (prose, 160_000, 4),
    "one character at a time": (prose, 10_000, 1),
    "a list without end": (lambda n: "- item **with** words\n" * (n // 22), 200_000, 4),
    "a nested list": (lambda n: ("- item\n" + "  - `sub`\n" * 9) * (n // 97), 60_000, 4),
    "a table without end": (lambda n: TABLE + ROW * (n // len(ROW)), 60_000, 4),
    "short list items": (lambda n: "* a\n" * (n // 4), 20_000, 4),
    "lines without end": (lambda n: "some words\n" * (n // 11), 60_000, 4),
    "a line without end": (lambda n: "word **bold** " * (n // 14), 300_000, 4),
    "a plain line without end": (lambda n: "word " * (n // 5), 300_000, 4),
    "one kind of sign": (lambda n: "*" * n, 60_000, 4),
    "dashes": (lambda n: "-" * n, 60_000, 4),
    "quotation marks": (lambda n: "> a\n" * (n // 4), 20_000, 4),
    "fences": (lambda n: "```\na\n```\n" * (n // 10), 40_000, 4),
    "code in a list": (lambda n: "- a\n\n  ```\n" + "  code `x`\n" * (n // 11), 60_000, 4),
    "indented code": (lambda n: "    code\n" * (n // 9), 40_000, 4),
    "code": (lambda n: "```python\n" + "if x: return `y`\n" * (n // 17), 200_000, 4),
    "code in big pieces": (lambda n: "```\n" + "if x: return\n" * (n // 13), 1 << 20, 4096),
    "a code line without end": (lambda n: "```\n" + "`" * n, 60_000, 4),
    "links": (lambda n: "[a](http://b.c) " * (n // 16), 40_000, 4),
    "definitions": (lambda n: "".join(f"[a{i}]: /u\n" for i in range(n // 10)), 20_000, 4),
    "blank lines": (lambda n: "\n" * n, 60_000, 4),
    "blank lines in a list": (lambda n: "- a\n" + "\n" * n, 60_000, 4),
}


@pytest.mark.parametrize("case", CASES)
def test_work_is_linear(case: str, work: Work):
    make, longest, size = CASES[case]
    for length in (longest // 8, longest):
        work.blocks = work.inline = work.sanitised = work.sent = 0
        text = make(length)
        html = run(text, size, work)
        assert work.blocks <= 15 * len(text)
        assert work.inline <= 10 * len(text)
        assert work.sanitised <= 20 * max(len(text), len(html))
        assert work.sent <= 30 * max(len(text), len(html))


def test_ordinary_prose_is_parsed_about_twice(work: Work):
    text = prose(40_000)
    run(text, 4, work)
    assert work.inline <= 2.2 * len(text)
    assert work.blocks <= 3 * len(text)


def test_an_open_fence_is_never_parsed_again(work: Work):
    text = "```python\n" + "x = 1\n" * 20_000
    run(text, 7, work)
    assert work.blocks <= 1.1 * len(text)


def test_code_is_highlighted_once(monkeypatch: pytest.MonkeyPatch):
    calls = []
    monkeypatch.setattr(
        "chat.delivery.markdown.code.highlight", lambda code, *_: calls.append(code) or code
    )
    stream = MarkdownStream()
    text = "```python\n" + "x = 1\n" * 500 + "```\n\nafter\n\n```python\n" + "y;\n" * MAX_COLOURED
    for at in range(0, len(text), 5):
        stream.feed(text[at : at + 5])
    stream.finish()
    assert calls == ["x = 1\n" * 500]


def test_a_very_long_open_block_is_appended_to_but_not_rendered_again():
    stream = MarkdownStream(caret="^")
    stream.feed("- item\n" * (MAX_OPEN // 7 + 1000))
    for _ in range(3_000):
        assert all(isinstance(op, Text) for op in stream.feed("- more\n"))


def test_a_very_long_line_is_appended_to_but_not_rendered_again(work: Work):
    stream = MarkdownStream(caret="^")
    for _ in range(2 * MAX_OPEN // 700):
        stream.feed("word **bold** " * 50)
    work.blocks = work.inline = 0
    for _ in range(5_000):
        assert all(isinstance(op, Text) for op in stream.feed("*more* `words` "))
    assert work.blocks == work.inline == 0


def test_text_behind_a_very_long_block_is_rendered_again():
    stream = MarkdownStream(caret="^")
    stream.feed("- item\n" * (MAX_OPEN // 7 + 1000))
    stream.feed("\nSome words. " * 6_000)
    stream.feed("\n\n**bold** x")
    assert stream.tail_html == "<p><strong>bold</strong> x^</p>\n"


def test_long_texts_end_in_the_same_page():
    for make, length, size in CASES.values():
        text = make(length // 16)
        stream = MarkdownStream()
        for at in range(0, len(text), size):
            stream.feed(text[at : at + size])
        stream.finish()
        assert stream.closed_html == whole_html(text)
