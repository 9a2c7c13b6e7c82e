"""A redacted passage is gone from every copy, and the receipt still proves the rest."""

import json
from typing import Any

import pytest
from django.core import serializers
from django.db import connection

from chat.models import (
    CallState,
    DecisionKind,
    Message,
    Redaction,
    Report,
    Timeline,
    ToolCall,
    User,
    Verdict,
)
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
