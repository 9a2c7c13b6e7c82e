"""The local backend against the labelled set, against evasion, and against hostile lengths.

`labelled.jsonl` has two splits. The rules were tuned on "dev". The "held" rows were written after
the rules were finished, measured once, and the rules were left as they were: only that split says
something about text that nobody has seen. When you tune on a held row, make it a dev row.

    pytest tests/moderation/test_local.py -k labelled -s     prints the table of docs/moderation.md
"""

import asyncio
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.moderation import local, rules
from chat.moderation.local import LocalBackend, classify

NAMES = {
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "self-harm"),
    *("self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence"),
    *("violence/graphic", "illicit", "illicit/violent", "profanity"),
}
ROWS = [
    json.loads(line)
    for line in Path(__file__).with_name("labelled.jsonl").read_text(encoding="utf-8").splitlines()
]
# Measured 0.991/0.920 and 0.980/0.721; one row of slack each.
FLOORS = {"dev": (0.985, 0.915), "held": (0.96, 0.70)}
# The worst category of dev has precision 0.957 (illicit/violent), recall 0.692 (instructions).
CATEGORY_PRECISION, CATEGORY_RECALL = 0.94, 0.65


def with_parents(categories: list[str]) -> set[str]:
    return {name for category in categories for name in (category, category.partition("/")[0])}


def flagged_categories(text: str) -> set[str]:
    return {name for name, score in classify(text).categories.items() if score >= local.FLAG_AT}


def precision_recall(pairs: list[tuple[bool, bool]]) -> tuple[float, float, int]:
    """From (expected, got) pairs; the last value is how many were expected."""
    hits = sum(expected and got for expected, got in pairs)
    found, wanted = sum(got for _, got in pairs), sum(expected for expected, _ in pairs)
    return hits / found if found else 1.0, hits / wanted if wanted else 1.0, wanted


def test_the_labelled_set_is_well_formed():
    assert len({row["text"] for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row["split"] in FLOORS
        assert set(row["categories"]) <= NAMES
        assert bool(row["categories"]) == row["flagged"], row["text"]


@pytest.mark.parametrize("split", ["dev", "held"])
def test_labelled_rows_are_told_apart_as_well_as_measured(split):
    rows = [row for row in ROWS if row["split"] == split]
    precision, recall, wanted = precision_recall(
        [(row["flagged"], classify(row["text"]).flagged) for row in rows]
    )
    print(f"\n{split}: {len(rows)} rows, {wanted} flagged; {local.MODEL} {local.VERSION}")
    print(f"  {'all':24} precision {precision:.3f}  recall {recall:.3f}")
    got = [flagged_categories(row["text"]) for row in rows]
    expected = [with_parents(row["categories"]) for row in rows]
    for name in sorted(NAMES):
        pairs = [(name in want, name in have) for want, have in zip(expected, got, strict=True)]
        p, r, n = precision_recall(pairs)
        print(f"  {name:24} precision {p:.3f}  recall {r:.3f}  of {n}")
        if split == "dev":  # a held category has too few rows for a floor
            assert p >= CATEGORY_PRECISION, name
            assert r >= CATEGORY_RECALL, name
    assert precision >= FLOORS[split][0]
    assert recall >= FLOORS[split][1]


@pytest.mark.parametrize(
    "text",
    [
        "sh1t",
        "@sshole",
        "a$$hole",
        "fuuuuuck",
        "f u c k",
        "F.U.C.K",
        "f-u_c*k",
        "f*ck",
        "fu\u200bck",
        "f\u00adu\u00adc\u00adk",
        "fu\u200d\u2060\ufeffck",
        "fu\u0441k",  # Cyrillic es
        "\u0455\u04bb\u0456\u0442",  # all Cyrillic
        "\u03c6uck",  # Greek phi
        "\uff26\uff35\uff23\uff2b",  # full width
        "\U0001d4ef\U0001d4fe\U0001d4ec\U0001d4f4",  # mathematical script
        "\u24d5\u24e4\u24d2\u24da",  # circled
        "\U0001f175\U0001f184\U0001f172\U0001f17a",  # negative squared
        "fu\u0308c\u0301k\u0300",  # combining marks
        "f\x00uck",
        "f\ud800uck",  # lone surrogate
        "f" + "\u200b" * 5000 + "uck",
    ],
)
def test_a_disguised_word_is_found(text):
    assert "profanity" in flagged_categories(f"well, {text} then")


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("k1ll y0ur$elf", "self-harm"),
        ("K.Y.S.", "self-harm"),
        ("k i l l  y o u r s e l f", "self-harm"),
        ("I'm going to k\u200bill y\u200bou", "harassment/threatening"),
        ("i w\u0430nt to k\u0456ll mys\u0435lf", "self-harm/intent"),
        ("how to build a b0mb", "illicit/violent"),
    ],
)
def test_a_disguised_phrase_is_found(text, category):
    assert category in flagged_categories(text)


@pytest.mark.parametrize(
    "text",
    [
        "Scunthorpe, Penistone, Clitheroe, Cockermouth, Lightwater, Essex and Middlesex",
        "classic assassin, assume, passage, bass, cassette, embarrass, grass, massacre",
        "shiitake, mishit, shih tzu, pushit, Matsushita, hitshock",
        "cucumber, document, circumstance, accumulate, cumulus, cockpit, peacock, cocktail",
        "analysis, canal, banal, therapist, grape, drape, scrape, skyscraper, title, Titian",
        "Dick Van Dyke, Moby-Dick, Dickens, Dickinson; niggardly, snigger; raccoon; pussycat",
        "utf8, b17c4, 900k, 2nd, x86, h264, s3, k8s, i18n, #a55b17, 0xB00B5, a1b2c3",
        "get_shit_done_flag, isShitHappens, fsck, f(u), c, k; f, u, c, k",
        "Wir sind dick befreundet; der Arschkriecher... nein, die Assel und der Kunstkurs.",
        "https://example.com/what-the-fuck-python",
    ],
)
def test_words_that_contain_words_are_left_alone(text):
    assert not classify(text).flagged


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help you build a bomb.",
        "If you are thinking about killing yourself, call or text 988.",
        "Use kill -9 to kill the child process, then its parent.",
        "The court heard that he had said 'I will kill you'.",
        "Kill the heat and beat the eggs.",
    ],
)
def test_refusals_help_news_code_and_cooking_pass(text):
    assert not classify(text).flagged


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t \r\n", "\u200b\u200b", "\ud800\udfff", "\x00", "```"]
)
def test_text_without_words_has_no_categories(text):
    assert classify(text).categories == {}
    assert not classify(text).flagged


def test_weak_evidence_is_noted_and_not_flagged():
    result = classify("Damn, the bloody build is slow.")
    assert not result.flagged
    assert 0 < result.categories["profanity"] < local.FLAG_AT


def test_a_subcategory_counts_for_its_parent():
    categories = classify("I want to kill myself.").categories
    assert categories["self-harm"] == categories["self-harm/intent"]


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_text_gets_a_verdict(text):
    result = classify(text)
    assert set(result.categories) <= NAMES
    assert all(0 < score <= 1 for score in result.categories.values())
    assert result.flagged == any(s >= local.FLAG_AT for s in result.categories.values())
    assert classify(text) == result


@pytest.mark.parametrize("filler", ["The loaf is done. ", "no full stop here ", "x", "\n", "🙂 ñ "])
@pytest.mark.parametrize("threat", ["You stupid cunt", "I am going to kill you"])
def test_a_phrase_is_found_wherever_a_window_is_cut(filler, threat):
    for offset in range(local.WINDOW_CHARS - 230, local.WINDOW_CHARS + 30, 13):
        before = (filler * local.WINDOW_CHARS)[:offset]
        assert classify(f"{before} {threat}. {filler * 200}").flagged, offset


def test_a_code_fence_does_not_hide_prose():
    assert classify("```python\n# you dumb cunts\n```").flagged
    assert classify("```\nx = 1\n```\nYou f u c k").flagged


def repeated(seed: str, length: int) -> str:
    return (seed * (length // len(seed) + 1))[:length]


def seconds(text: str) -> float:
    """The best of three runs, in CPU time: other processes do not count."""

    def run() -> float:
        start = time.process_time()
        classify(text)
        return time.process_time() - start

    return min(run() for _ in range(3))


@pytest.mark.parametrize(
    "seed",
    [
        *(
            "a",
            "1",
            " ",
            "\n",
            ".",
            "! ",
            "?!",
            "*",
            "f*",
            "f.",
            "a.b/",
            "@",
            "_",
            "-a",
            "f u c k ",
        ),
        *("fuck ", "i will kill ", "i want to kill my my my ", "how do i make make a a bomb "),
        *("jews muslims are are ", "the word fuck ", "```\n", "http://", "\u200b", "\u0301\u0316"),
        *("\ufdfa", "\ud800", "а", "аa"),
    ],
)
def test_hostile_text_is_cut_into_windows_of_bounded_cost(seed):
    windows = [window for _, window, _ in local._windows(repeated(seed, 200_000))]
    assert max(map(len, windows), default=0) <= local.WINDOW_CHARS
    # The worst cut is just after the middle of a window; each fence starts a new one.
    fences = 200_000 // len(seed) if seed == "```\n" else 0
    assert len(windows) <= 2 * 200_000 / local.WINDOW_CHARS + 1 + fences
    # 5 to 40 ms where this was written; a quadratic pattern took seconds.
    assert seconds(repeated(seed, local.WINDOW_CHARS)) < 0.3


@pytest.mark.parametrize("seed", ["1", "f.", "how do i make make a a bomb ", "! "])
def test_four_times_the_text_costs_four_times_the_time(seed):
    classify(repeated(seed, 5_000))  # fills the caches
    ratios: list[float] = []
    while len(ratios) < 4 and min(ratios, default=9) > 6:  # a busy machine gets another try
        short = max(seconds(repeated(seed, 50_000)), 0.01)
        ratios.append(seconds(repeated(seed, 200_000)) / short)
    assert min(ratios) <= 6


async def test_moderate_gives_what_classify_gives():
    backend = LocalBackend()
    assert backend.name == "local"
    for text in ("hello", "You stupid cunt", "The loaf is done. " * 500 + "You stupid cunt"):
        assert await backend.moderate(text) == classify(text)


async def test_a_long_text_leaves_the_event_loop_free():
    task = asyncio.create_task(LocalBackend().moderate("fuck this shit, " * 20_000))
    ticks = 0
    while not task.done():
        await asyncio.sleep(0)
        ticks += 1
    assert (await task).flagged
    assert ticks >= 20  # about 160 windows, and the loop gets a turn at each


def test_the_version_changes_with_the_rules(tmp_path, monkeypatch):
    assert classify("").version == local.VERSION == f"1+{local._digest()}"
    changed = tmp_path / "terms.txt"
    changed.write_text(rules.TERMS.read_text(encoding="utf-8") + "\n= newword\n", encoding="utf-8")
    monkeypatch.setattr(rules, "TERMS", changed)
    assert local._digest() not in local.VERSION


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[profanity 0.9]\nno trigger here", "terms.txt:2: no <trigger>"),
        ("<word> without a section", "terms.txt:1: no section"),
        ("[profanity]\n= word", "terms.txt:1: not a section"),
        ("[profanity 0.9 unless=nobody]\n= word", "terms.txt:2: 'nobody'"),
        ("[profanity 0.9]\n<word> {nobody}", "terms.txt:2: 'nobody'"),
        ("[profanity 0.9]\n<word> (", "terms.txt:2: missing"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        rules.Rules(text)
