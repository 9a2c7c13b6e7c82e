"""The operator's rules: found in any disguise, where they stand, in linear time."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.moderation import operator
from chat.moderation.operator import BadRule, Rule, RulesBackend, expression, kinds_of, windows

TERMS = Rule(
    "names", "term", "Project Falcon\nbadger\nпривет\n法轮功\n💣\nC3PO\nwidget-x", "codename"
)
PERSONAL = Rule("people", "personal", "", "pii")
SECRETS = Rule("keys", "secret", "", "secret")
PATTERN = Rule("codes", "pattern", r"(?i)launch\s+codes?", "codes", score=0.7)
ALL = (TERMS, PERSONAL, SECRETS, PATTERN)


def marked(text: str, *rules: Rule, direction: str = "input") -> list[str]:
    result = RulesBackend(rules, direction).judge(text)
    return [text[start:end] for start, end, _ in result.spans]


@pytest.mark.parametrize(
    ("text", "passage"),
    [
        ("The project falcon is late", "project falcon"),
        ("PROJECT  FALC0N", "PROJECT  FALC0N"),
        ("pr\u200boject f\u0430lcon", "pr\u200boject f\u0430lcon"),  # zero width, Cyrillic a
        ("project_falcon.txt", "project_falcon"),
        ("our b.a.d.g.e.r here", "b.a.d.g.e.r"),
        ("b a d g e r", "b a d g e r"),
        ("a b4dg3r!", "b4dg3r!"),
        ("b*dger", "b*dger"),
        ("the BADGER\u2019s den", "BADGER\u2019s"),
        ("Project Falcon's end", "Project Falcon's"),
        ("baaaadger", "baaaadger"),
        ("ｂａｄｇｅｒ", "ｂａｄｇｅｒ"),
        ("ba" + "\u200b" * 5000 + "dger", "ba" + "\u200b" * 5000 + "dger"),
        ("Пpивет всем", "Пpивет"),  # with a Latin p
        ("我法轮功好", "法轮功"),
        ("boom 💣!", "💣"),
        ("my c3po", "c3po"),
        ("widget x", "widget x"),
    ],
)
def test_a_term_is_found_in_any_disguise(text: str, passage: str) -> None:
    assert marked(text, TERMS) == [passage]


@pytest.mark.parametrize("text", ["badgers", "a project about falcons", "embadgered", "widget", ""])
def test_a_term_is_a_whole_word_or_phrase(text: str) -> None:
    assert marked(text, TERMS) == []


@pytest.mark.parametrize(
    "text",
    [
        "Joe.Doe+x@Example.co.uk",
        "+49 170 1234567",
        "(555) 123-4567",
        "DE89370400440532013000",
        "4111 1111 1111 1111",
        "４１１１ 1111 1111 1111",
        "123-45-6789",
        "RSSMRA85T10A562S",
        "12345678Z",
        "756.9217.0769.85",
    ],
)
def test_personal_data_are_found_by_form_and_check(text: str) -> None:
    assert marked(f"It is {text}, he said", PERSONAL)[0] == text


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # Luhn
        "0000 0000 0000 0000",
        "DE89370400440532013001",  # mod 97
        "078-05-1120",  # never given to anybody
        "1.2.3.4 port 8080",
        "2024-01-15 12:30:45",
        "3.14159265358979",
        "order 1234567890123456",
        "@joe and user@localhost",
    ],
)
def test_numbers_that_only_look_like_it_are_left_alone(text: str) -> None:
    assert marked(text, PERSONAL) == []


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-abcdefghijklmnopqrstuvwx",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "password=hunter2!",
        '"db_password": "s3cr3tvalue"',
        "Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123",
        "postgres://u:pw123@db/x",
        "api_key = 'Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5'",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijkl",
        "sk-proj-abcdefgh\u200bijklmnopqrstuvwx",
    ],
)
def test_secrets_are_found(text: str) -> None:
    assert marked(text, SECRETS)


@pytest.mark.parametrize(
    "text",
    [
        "password: <your password>",
        "password = os.environ['DB']",
        "PASSWORD=${PASSWORD}",
        "the password is wrong",
        "def f(password: str) -> None",
        "token: required",
        "secret_token=aaaaaaaaaaaaaaaaaaaaaaaaaa1",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ],
)
def test_what_only_stands_for_a_secret_is_left_alone(text: str) -> None:
    assert marked(text, SECRETS) == []


def test_a_rule_names_the_kinds_that_it_is_about() -> None:
    only = Rule("cards", "personal", "card, iban", "pii")
    assert marked("joe@example.org has 4111111111111111", only) == ["4111111111111111"]
    with pytest.raises(BadRule, match="shoe size"):
        kinds_of(Rule("x", "personal", "email\nshoe size", "pii"))


def test_an_expression_sees_text_as_it_is_and_undisguised() -> None:
    assert marked("Launch   codes!", PATTERN) == ["Launch   codes"]
    assert marked("la\u200bunch code", PATTERN) == ["la\u200bunch code"]
    result = RulesBackend((PATTERN,), "input").judge("launch code")
    assert (result.categories, result.hits) == ({"codes": 0.7}, ("codes",))


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "(?=a)", "(?:(?:a{99}){99}){99}", "\ud800"])
def test_an_expression_that_cannot_be_linear_is_refused_with_a_reason(pattern: str) -> None:
    with pytest.raises(BadRule, match=r"\w"):
        expression(pattern)


def test_a_broken_rule_does_not_keep_the_others_from_working() -> None:
    assert marked("badger", Rule("bad", "pattern", "(", "x"), TERMS) == ["badger"]


def test_a_rule_holds_in_its_direction() -> None:
    outgoing = Rule("out", "term", "badger", "x", "output")
    assert marked("badger", outgoing, direction="input") == []
    assert marked("badger", outgoing, direction="output") == ["badger"]


def test_the_version_changes_with_the_rules() -> None:
    one, two = RulesBackend((TERMS,), "input"), RulesBackend((PATTERN,), "input")
    assert one.version == RulesBackend((TERMS,), "output").version != two.version


@given(st.text(max_size=3_000))
def test_windows_hold_the_whole_text(text: str) -> None:
    pieces = list(windows(text))
    assert all(text[start : start + len(piece)] == piece for start, piece in pieces)
    covered = 0
    for start, piece in pieces:
        assert start <= covered
        covered = start + len(piece)
    assert covered == len(text)


@given(st.text(max_size=500))
def test_spans_are_passages_of_the_text_whatever_it_holds(text: str) -> None:
    for start, end, _ in RulesBackend(ALL, "input").judge(text + " b\u0430dger \0\ud800").spans:
        assert 0 <= start < end <= len(text) + 11


@pytest.mark.parametrize(
    "seed", ["1 ", "a@", "\u200b", "1", "b.a.d.", "password=a", "badger ", "аb", "\ud800\0", "- "]
)
def test_hostile_text_takes_time_in_proportion_to_its_length(seed: str) -> None:
    text = (seed * 200_000)[:200_000]
    started = time.process_time()
    result = RulesBackend(ALL, "input").judge(text)
    # 1.1 s at most where this was written.
    assert time.process_time() - started < 8
    assert len(result.spans) <= operator.MOST_SPANS


async def test_a_long_text_is_judged_beside_the_loop() -> None:
    result = await RulesBackend(ALL, "input").moderate("fine. " * 1_000 + "badger")
    assert result.hits == ("codename",)
    assert result.spans == ((6_000, 6_006, "codename"),)


async def test_a_long_list_of_terms_does_not_hold_the_loop_up_while_it_is_compiled() -> None:
    terms = "\n".join(f"word{number}x" for number in range(1_500))
    rules = tuple(Rule(f"rule {number}", "term", terms, "animals") for number in range(8))
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await RulesBackend(rules, "input").moderate("Hello.")
    ticking.cancel()
    assert turns > 10
