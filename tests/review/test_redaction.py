"""A redacted passage is gone from every copy, and the receipt still proves the rest."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import LazySettings
from django.contrib.auth.models import Group
from django.core import serializers
from django.db import connection
from django.test import Client

from chat import services
from chat.engine.events import TextDelta
from chat.models import (
    CallState,
    Conversation,
    DecisionKind,
    LegalHold,
    Message,
    Redaction,
    Report,
    ReviewDecision,
    ReviewItem,
    ReviewState,
    Timeline,
    ToolCall,
    User,
    Verdict,
)
from chat.record import holds, purge, seals
from chat.review import badges, decisions, redaction, who
from chat.review.decisions import Refused
from chat.review.facts import proof
from chat.review.redaction import BLOCK
from chat.verification import verify
from tests.admin.rows import judge, make_conversation, reply, say
from tests.conftest import make_user
from tests.review.conftest import PURPOSE
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
    seals.seal(conversation.pk, message.generation.pk)  # with all that has come since
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
    # Not of each step on the way: a word may stand in a long text ten thousand times.
    assert {row.sha256_after for row in rows} == {redaction.sha256(now.text)}
    assert proof(receipt, now) == badges.REDACTED
    assert verify().findings == []
    Message.objects.filter(pk=leak.pk).update(text=now.text + "!")
    assert proof(receipt, Message.objects.get(pk=leak.pk)) == badges.DIFFERS
    assert [finding.what for finding in verify().findings] == [
        "the text is not the one that the receipt was written for",
        f"not as it was sealed: text of message {leak.pk}",
    ]


def test_a_redaction_does_not_hide_what_was_changed_before_it(
    leak: Message, reviewer: User
) -> None:
    Message.objects.filter(pk=leak.pk).update(reasoning=f"It never was {SECRET}.")
    start = TEXT.index(SECRET)
    redact(reviewer, leak, (start, start + len(SECRET)))
    whats = {finding.what for finding in verify().findings}
    assert f"not as it was sealed: reasoning of message {leak.pk}" in whats


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


class TestWhatRepeatsIt:
    """Messages that say the same are decided on their own, and wait for that."""

    @pytest.fixture
    def others(self, leak: Message, ada: User) -> dict[str, Message]:
        said = say(leak.conversation, f"Why {SECRET.upper()}?", leak)
        thought = reply(said, "Because.", reasoning=f"About {SECRET}")
        called = reply(said, "Done.")
        ToolCall.objects.create(
            message=called, number=0, round=1, offset=0, name="find", state=CallState.DONE,
            arguments=json.dumps({"who": SECRET}),
        )  # fmt: skip
        other = say(make_conversation(ada), f"And {SECRET}?")
        unlike = reply(called, "Nobody.")
        return {"said": said, "thought": thought, "called": called, "other": other, "no": unlike}

    @pytest.fixture
    def redacted(self, leak: Message, reviewer: User) -> Callable[[], ReviewDecision]:
        def decide() -> ReviewDecision:
            given = {"note": "Private.", "words": [SECRET]}
            return decisions.decide(reviewer, leak.pk, DecisionKind.REDACT, **given)  # type: ignore[arg-type]

        return decide

    def test_they_wait(
        self, others: dict[str, Message], redacted: Callable[[], ReviewDecision]
    ) -> None:
        expected = [others[name].pk for name in ("said", "thought", "called")]
        assert redacted().repeated_in == expected
        waiting = ReviewItem.objects.filter(state=ReviewState.OPEN).order_by("message")
        assert [item.message_id for item in waiting] == expected
        assert badges.reasons(waiting[0]) == [badges.REPEATS]

    def test_one_that_was_dismissed_opens_again_and_one_that_was_removed_does_not(
        self, others: dict[str, Message], reviewer: User, redacted: Callable[[], ReviewDecision]
    ) -> None:
        decisions.decide(reviewer, others["said"].pk, DecisionKind.DISMISS)
        decisions.decide(reviewer, others["thought"].pk, DecisionKind.UPHOLD, "Rude.")
        assert redacted().repeated_in == [others["said"].pk, others["called"].pk]
        states = dict(ReviewItem.objects.values_list("message", "state"))
        assert states[others["said"].pk] == ReviewState.OPEN
        assert states[others["thought"].pk] == ReviewState.CLOSED

    def test_not_before_a_proposal_takes_effect(
        self, others: dict[str, Message], leak: Message, second: User,
        redacted: Callable[[], ReviewDecision], settings: LazySettings,
    ) -> None:  # fmt: skip
        settings.REVIEW_TWO_PERSON = ["redact"]
        proposed = redacted()
        assert not ReviewItem.objects.filter(state=ReviewState.OPEN).exists()
        confirmed = decisions.confirm(second, leak.pk, seen=proposed.pk)
        assert len(confirmed.repeated_in) == 3
        assert ReviewItem.objects.filter(state=ReviewState.OPEN).count() == 3

    def test_the_reviewer_is_told_which(
        self, others: dict[str, Message], leak: Message, desk: Client, opened: Any
    ) -> None:
        opened(desk, leak.conversation)
        path = f"/review/{leak.conversation_id}/messages/{leak.pk}/decide"
        fields = {"kind": "redact", "note": "Private.", "words": SECRET, "seen": 0}
        page = desk.post(path, fields, follow=True).content.decode()
        assert f"The same stands in #{others['said'].pk}, #{others['thought'].pk}, " in page
        assert page.count("Repeats what was redacted") == 3
        assert page.count("To decide") == 3


@pytest.mark.django_db(transaction=True)
async def test_the_log_of_the_reply_is_erased(
    running: services.Services, sign_in: Callable[[User], Client]
) -> None:
    """For a minute after its end late viewers could still read it there."""

    def prepare() -> tuple[Client, Message]:
        reviewer, ada = make_user("rita"), make_user("ada")
        reviewer.groups.add(Group.objects.get(name=who.GROUP))
        message = reply(say(make_conversation(ada), "Who?"), TEXT)
        client = sign_in(reviewer)
        client.post(f"/review/{message.conversation_id}/purpose", PURPOSE)
        return client, message

    client, message = await sync_to_async(prepare)()
    number = message.generation.pk
    running.log.open(number, 1)
    running.log.append(number, 1, [TextDelta(TEXT)])
    path = f"/review/{message.conversation_id}/messages/{message.pk}/decide"
    fields = {"kind": "redact", "note": "Private.", "words": SECRET, "seen": 0}
    answer = await sync_to_async(client.post)(path, fields)
    assert answer.status_code == 302
    await asyncio.sleep(0)
    assert running.log.subscribe(number, lambda: None).take() == []


@pytest.mark.django_db(transaction=True)
def test_a_redacted_canary_is_nowhere_on_the_disk(
    ada: User, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next pass of the sweeper sees to the index of words and the write-ahead log."""
    if connection.vendor != "sqlite":
        pytest.skip("SQLite's files")
    canary = "canaryq7x1z"
    message = reply(say(make_conversation(ada), "Whom?"), f"Ask {canary}, " * 300)
    for number in range(20):
        reply(say(make_conversation(ada), f"And {number}?"), "Somebody else knows that. " * 200)
    path = Path(connection.settings_dict["NAME"])

    def holding() -> list[str]:
        files = path.parent.glob(f"{path.name}*")
        return [file.name for file in files if canary.encode() in file.read_bytes()]

    assert holding()
    decisions.decide(reviewer, message.pk, DecisionKind.REDACT, "Private.", words=[canary])
    monkeypatch.setattr(purge, "_scrub_at", 0.0)
    purge.purge_due()
    assert holding() == []


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
