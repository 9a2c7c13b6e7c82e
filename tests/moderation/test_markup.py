"""A word that markup takes apart is found as the page shows it; what is shown as it is, is not."""

import time

import pytest

from chat.moderation import local
from chat.moderation.markup import Spelled
from chat.moderation.operator import Rule, RulesBackend

RULES = (
    Rule("terms", "term", "badger\nred fox", "animals"),
    Rule("expression", "pattern", "(?i)wal.?rus", "animals"),
)
APART = [
    "The b**ad**ger.",
    "The **b**adger.",
    "The bad**ger**.",
    "The b***a***d**g**er.",
    "The bad*ge*r.",
    "The ba~~d~~ger.",
    "The ba`d`ger.",
    "The b**a*d***ger.",
    "The b***ad*ge**r.",
    "The b**a`d`ge**r.",
    "The bad**ger is** here.",
    "The [bad](#here)ger.",
    "The b[ad](https://example.org/)ger.",
    "The bad[](x)ger.",
    "The b[*a*](x)dger.",
    "The ba[d][1]ger.",
    "The b&#97;dger.",
    "The b&#x61;dger.",
    "The bad&shy;ger.",
    "The bad&ZeroWidthSpace;ger.",
    "A red&nbsp;fox.",
    "A wal&#114;us.",
    "A w**al**r*u*s.",
]


async def judged(text: str) -> list[tuple[int, int, str]]:
    result = await RulesBackend(RULES, "output").moderate(text)
    return list(result.spans)


@pytest.mark.parametrize("text", APART)
async def test_a_word_that_markup_takes_apart_is_found_and_its_line_marked(text: str) -> None:
    assert await judged(text) == [(0, len(text), "animals")]
    before = "One line.\n\n"
    after = "\nAnd another, of *other* things."
    at = len(before)
    assert await judged(before + text + after) == [(at, at + len(text), "animals")]


@pytest.mark.parametrize("text", ["I will k&#105;ll you.", "I will **k**ill you.", "Oh f**u**ck"])
def test_so_is_what_the_local_list_looks_for(text: str) -> None:
    found = local.classify(f"Hello.\n{text}\n")
    assert found.flagged
    assert {(start, end) for start, end, _ in found.spans} == {(7, 7 + len(text))}


@pytest.mark.parametrize(
    "text",
    [
        "All **of** it, *really* and ~~not~~ `code`.",
        "```\nreturn a*s*s\n```",
        "~~~\nx = `a`s*s\n~~~",
        "a * b * c, 2 ** 3 ** 4",
        "f*ck",
        "s**t",
        "`a*s*s` and `f(**a)(**b)`",
        "snake_case_name __init__ ~/dir ~tilde",
        "A [link](https://example.org/), `a[i][j]` and a [reference][1]. - [x] Done",
        "AT&T; ?a=1&b=2 & so on",
        "",
    ],
)
def test_what_reads_as_it_is_written_is_judged_once(text: str) -> None:
    assert Spelled(text).text == text


async def test_a_word_as_it_is_written_keeps_its_own_passage() -> None:
    found = await judged("The badger &amp; the f**o**x.")
    assert sorted(found) == [(0, 29, "animals"), (4, 10, "animals")]


@pytest.mark.parametrize(
    "text",
    [
        mark * 50_000
        for mark in (
            "*",
            "*a",
            "a*",
            "`",
            "`a",
            "&#",
            "&a",
            "~a",
            "**a*",
            "* a",
            "[",
            "[a",
            "[](",
            "a[b](c)",
        )
    ],
)
def test_no_text_makes_it_slow(text: str) -> None:
    before = time.process_time()
    Spelled(text)
    assert time.process_time() - before < 2
