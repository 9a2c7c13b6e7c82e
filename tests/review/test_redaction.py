"""A redacted passage is gone from every copy, and the receipt still proves the rest."""

import json
from typing import Any

import pytest
from django.conf import LazySettings
from django.core import serializers
from django.db import connection

from chat.models import (
    CallState,
    Conversation,
    DecisionKind,
    LegalHold,
    Message,
    Redaction,
    Report,
    ReviewDecision,
    Timeline,
    ToolCall,
    User,
    Verdict,
)
from chat.record import holds
from chat.review import badges, decisions, redaction
from chat.review.decisions import Refused
from chat.review.facts import proof
from chat.review.redaction import BLOCK
from chat.verification import verify
from tests.admin.rows import judge, make_conversation, reply, say
from tests.search.test_index import found

SECRET = 'Käthe "Kat" Müller 🦊'
TEXT = f"Ask {SECRET}, or ask\nsomebody else. {SECRET} knows."


@pytest.fixture
def leak(ada: User) -> Message:
    conversation = make_conversation(ada, f"Asking {SECRET.lower()[:12]}…")
    message = reply(
        say(conversation, "Whom?"),
        TEXT,
        reasoning=f"It is {SECRET}.",
        verdict="flagged",
        scores={"personal": 0.9},
        withheld=True,
    )
    start = TEXT.index(SECRET)
    spans = [[start, start + 5, "personal"], [0, 3, "other"], "nonsense"]
    Verdict.objects.filter(message=message).update(spans=spans)
    judge(message, "error", backend="judge")
    ToolCall.objects.create(
        message=message, number=0, round=1, offset=40, name="find", state=CallState.DONE,
        arguments=json.dumps({"who": SECRET}), parsed={"who": SECRET}, result=f"1: {SECRET}\n",
    )  # fmt: skip
    Timeline.objects.create(generation=message.generation, points=[[10, 5, 0], [20, 60, 9]])
    message.generation.request = {"messages": [{"role": "user", "content": f"{SECRET}?"}]}
    message.generation.save()
    Report.objects.create(message=message, user=ada, complaint="private", note=f"That is {SECRET}")
    return Message.objects.get(pk=message.pk)


def redact(by: User, message: Message, *passages: tuple[int, int], note: str = "Private.") -> None:
    decisions.decide(by, message.pk, DecisionKind.REDACT, note, passages=passages)


def everything() -> str:
    """All rows of all tables that have anything to do with it."""
    from django.apps import apps

    models = apps.get_app_config("chat").get_models()
    return "".join(
        serializers.serialize("json", m._base_manager.all(), ensure_ascii=False) for m in models
    )


def test_it_is_gone_from_every_copy(leak: Message, reviewer: User) -> None:
    start = TEXT.index(SECRET)
    redact(reviewer, leak, (start, start + len(SECRET)), note=f"{SECRET} is a person")
    left = everything()
    for piece in ("Käthe", "käthe", "Müller", "K\\u00e4the", "🦊", "Kat\\"):
        assert piece not in left, piece
    assert found("Müller") == set()
    assert found("somebody") == {leak.pk}
    now = Message.objects.get(pk=leak.pk)
    assert now.text == TEXT.replace(SECRET, BLOCK * len(SECRET))
    assert now.withheld_at is None


def test_what_counts_characters_still_points_where_it_did(leak: Message, reviewer: User) -> None:
    start = TEXT.index(SECRET)
    redact(reviewer, leak, (start, start + len(SECRET)))
    now = Message.objects.get(pk=leak.pk)
    assert len(now.text) == len(TEXT)
    assert now.tool_calls.get().offset == 40
    assert now.generation.timeline.points == [[10, 5, 0], [20, 60, 9]]
    assert Verdict.objects.get(message=leak, backend="local").spans == [[0, 3, "other"]]


def test_the_receipt_proves_the_rest(leak: Message, reviewer: User) -> None:
    receipt = leak.generation.receipt
    start = TEXT.index(SECRET)
    redact(reviewer, leak, (start, start + len(SECRET)))
    rows = list(Redaction.objects.all())
    assert [row.start for row in rows] == [start, TEXT.rindex(SECRET)]
    assert {row.sha256 for row in rows} == {redaction.sha256(SECRET)}
    now = Message.objects.get(pk=leak.pk)
    before = receipt.sha256
    receipt.refresh_from_db()
    assert receipt.sha256 == before
    assert rows[-1].sha256_after == redaction.sha256(now.text)
    assert proof(receipt, now) == badges.REDACTED
    assert verify().findings == []
    Message.objects.filter(pk=leak.pk).update(text=now.text + "!")
    assert proof(receipt, Message.objects.get(pk=leak.pk)) == badges.DIFFERS
    assert len(verify().findings) == 1


def test_a_second_redaction_is_proved_too(leak: Message, reviewer: User) -> None:
    redact(reviewer, leak, (0, 3))
    last = leak.review.decisions.get()
    decisions.decide(
        reviewer, leak.pk, DecisionKind.REDACT, "More.", passages=[(30, 34)], seen=last.pk
    )
    now = Message.objects.get(pk=leak.pk)
    assert proof(now.generation.receipt, now) == badges.REDACTED
    assert verify().findings == []


def test_a_short_passage_is_taken_out_where_it_stands_only(leak: Message, reviewer: User) -> None:
    redact(reviewer, leak, (0, 3))
    now = Message.objects.get(pk=leak.pk)
    assert now.text == BLOCK * 3 + TEXT[3:]
    assert SECRET in now.reasoning


def test_a_text_that_was_tampered_with_is_not_redacted(leak: Message, reviewer: User) -> None:
    Message.objects.filter(pk=leak.pk).update(text=TEXT + "!")
    with pytest.raises(Refused, match="does not match its receipt"):
        redact(reviewer, leak, (0, 3))


@pytest.mark.parametrize("passages", [[], [(3, 3)], [(5, 2)], [(-1, 2)], [(0, 10_000)]])
def test_a_passage_that_is_none_is_refused(
    passages: list[tuple[int, int]], leak: Message, reviewer: User
) -> None:
    with pytest.raises(Refused):
        redact(reviewer, leak, *passages)
    assert not Redaction.objects.exists()


def test_a_users_own_message_is_redacted_too(leak: Message, reviewer: User) -> None:
    question = leak.parent
    assert question is not None
    redact(reviewer, question, (0, 4))
    assert Message.objects.get(pk=question.pk).text == BLOCK * 4 + "?"


@pytest.fixture
def called(ada: User) -> Message:
    """A reply whose secret stands nowhere in its text."""
    message = reply(say(make_conversation(ada), "Whom?"), "Fine.", reasoning=f"It is {SECRET}.")
    ToolCall.objects.create(
        message=message, number=0, round=1, offset=0, name="find", state=CallState.DONE,
        arguments=json.dumps({"who": SECRET}), parsed={"who": SECRET}, result=f"1: {SECRET}\n",
    )  # fmt: skip
    return message


def test_words_go_wherever_they_stand(called: Message, reviewer: User) -> None:
    words = ['KÄTHE   "Kat" Müller']
    decisions.decide(reviewer, called.pk, DecisionKind.REDACT, f"Of {SECRET}", words=words)
    left = everything()
    for piece in ("Käthe", "KÄTHE", "Müller", "K\\u00e4the", "Kat\\"):
        assert piece not in left, piece
    now = Message.objects.get(pk=called.pk)
    assert now.text == "Fine."
    assert "█" in now.tool_calls.get().result
    assert "█" in now.tool_calls.get().parsed["who"]
    assert proof(now.generation.receipt, now) == badges.MATCHES


@pytest.mark.parametrize(
    "copy",
    [
        'käthe "kat" müller', 'KÄTHE\n\t"Kat"\u00a0MÜLLER', r'K\u00c4the \"Kat\" M\u00FCller',
        r'Käthe\n\"Kat\"\r\n m\u00dcller', r'Käthe \u0022Kat\u0022 Müller',
    ],
)  # fmt: skip
def test_however_it_is_spelled(copy: str) -> None:
    found = redaction.patterns("", [], ['Käthe "Kat" Müller'])
    assert redaction.blank(f"a {copy} b", found) == f"a {BLOCK * len(copy)} b"
    assert redaction.blank(f"Kät {copy[:-2]}", found) == f"Kät {copy[:-2]}"


def test_words_and_passages_together(leak: Message, reviewer: User) -> None:
    decisions.decide(
        reviewer, leak.pk, DecisionKind.REDACT, "Both", passages=[(0, 3)], words=["somebody else"]
    )
    now = Message.objects.get(pk=leak.pk)
    expected = TEXT.replace("somebody else", BLOCK * 13)
    assert now.text == BLOCK * 3 + expected[3:]
    assert verify().findings == []
    assert proof(now.generation.receipt, now) == badges.REDACTED


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "Not found"),
        (["Müller", "nowhere"], "“nowhere”"),
        (["an"], "at least 4"),
        (["████████"], "at least 4"),
        ([], "write words to take out"),
    ],
)
def test_words_that_cannot_be_taken_out_are_refused(
    words: list[str], said: str, called: Message, reviewer: User
) -> None:
    with pytest.raises(Refused, match=said):
        decisions.decide(reviewer, called.pk, DecisionKind.REDACT, "Private", words=words)
    assert SECRET in Message.objects.get(pk=called.pk).reasoning


def test_proposed_words_are_kept_until_they_are_taken_out(
    called: Message, reviewer: User, second: User, settings: LazySettings
) -> None:
    settings.REVIEW_TWO_PERSON = ["redact"]
    first = decisions.decide(reviewer, called.pk, DecisionKind.REDACT, "Name", words=["Müller"])
    assert "Müller" in Message.objects.get(pk=called.pk).reasoning
    decisions.confirm(second, called.pk, "Yes, Müller.", seen=first.pk)
    assert "Müller" not in everything()


def test_notes_of_earlier_decisions_lose_it_too(leak: Message, reviewer: User) -> None:
    first = decisions.decide(reviewer, leak.pk, DecisionKind.UPHOLD, f"It names {SECRET}!")
    start = TEXT.index(SECRET)
    decisions.decide(
        reviewer, leak.pk, DecisionKind.REDACT, "So",
        passages=[(start, start + len(SECRET))], seen=first.pk,
    )  # fmt: skip
    first.refresh_from_db()
    assert first.note == f"It names {BLOCK * len(SECRET)}!"
    assert "Müller" not in everything()


class TestUnderALegalHold:
    @pytest.fixture(autouse=True)
    def hold(self, leak: Message, second: User) -> LegalHold:
        return holds.place(second, "A case", on=leak.conversation.owner)

    def test_nothing_is_redacted(self, leak: Message, reviewer: User, hold: LegalHold) -> None:
        before = everything()
        with pytest.raises(Refused, match="under a legal hold"):
            redact(reviewer, leak, (0, 3))
        assert everything() == before
        holds.release(reviewer, hold)
        redact(reviewer, leak, (0, 3))
        assert Message.objects.get(pk=leak.pk).text != TEXT

    def test_nothing_that_was_proposed_before_is_confirmed(
        self, leak: Message, reviewer: User, second: User, hold: LegalHold, settings: LazySettings
    ) -> None:
        settings.REVIEW_TWO_PERSON = ["redact"]
        holds.release(reviewer, hold)
        redact(reviewer, leak, (0, 3))
        holds.place(second, "A case", on=leak.conversation)
        seen = ReviewDecision.objects.get().pk
        with pytest.raises(Refused, match="under a legal hold"):
            decisions.confirm(second, leak.pk, seen=seen)
        assert Message.objects.get(pk=leak.pk).text == TEXT
        decisions.decline(second, leak.pk, "Held.", seen=seen)

    def test_upholding_leaves_the_title(
        self, leak: Message, reviewer: User, hold: LegalHold
    ) -> None:
        Conversation.objects.update(title="Ask Käthe…")
        first = decisions.decide(reviewer, leak.pk, DecisionKind.UPHOLD, "Private")
        assert Conversation.objects.get().title == "Ask Käthe…"
        holds.release(reviewer, hold)
        decisions.decide(reviewer, leak.pk, DecisionKind.UPHOLD, "Private", seen=first.pk)
        assert Conversation.objects.get().title == ""


@pytest.mark.parametrize(
    ("passages", "expected"),
    [
        ([(4, 6), (0, 2)], [(0, 2), (4, 6)]),
        ([(0, 4), (2, 6)], [(0, 6)]),
        ([(0, 4), (4, 6)], [(0, 6)]),
        ([(0, 9), (2, 3)], [(0, 9)]),
    ],
)
def test_passages_are_put_in_order(passages: Any, expected: Any) -> None:
    assert redaction.merged(passages, 10) == expected


def test_the_search_index_has_no_copy(leak: Message, reviewer: User) -> None:
    start = TEXT.index(SECRET)
    redact(reviewer, leak, (start, start + len(SECRET)))
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT c0, c1 FROM chat_search_content")
            assert not any("Müller" in str(row) for row in cursor)
