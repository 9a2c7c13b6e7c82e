"""A record that was changed by hand is found, whatever was changed; one that was not is not."""

import hashlib
import json
import re
import uuid
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Model, QuerySet
from django.utils import timezone

from chat import actions, branches
from chat.models import (
    Conversation,
    Generation,
    Message,
    Receipt,
    Role,
    Seal,
    State,
    Tombstone,
    ToolCall,
    User,
    Verdict,
)
from chat.record import chain, purge
from chat.record.seals import LISTED
from chat.verification import GRACE, verify
from tests.talk import ask, end, prove, talk


@pytest.fixture
def proven(ada: User) -> Message:
    """The second version of a reply, with reasoning and a call; the first one failed."""
    conversation, _asked, failed = talk(ada, "", state=State.FAILED, finish="")
    Generation.objects.filter(message=failed).update(error_kind="refused", error_detail="No.")
    prove(failed)
    branches.regenerate(ada, conversation, failed.pk)
    message = end(conversation, "As it was.")
    Message.objects.filter(pk=message.pk).update(reasoning="I think so.")
    ToolCall.objects.create(
        message=message,
        number=0,
        round=1,
        offset=0,
        name="dice",
        arguments='{"sides": 6.0}',
        parsed={"sides": 6.0},
        state="done",
        result="4",
    )
    Generation.objects.filter(message=message).update(
        model="small-1", prompt_tokens=4, completion_tokens=3, parameters={"temperature": 1e-2}
    )
    prove(Message.objects.get(pk=message.pk))
    Verdict.objects.update(state="passed")
    Receipt.objects.update(verdict="passed")
    return Message.objects.get(pk=message.pk)


def run() -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("verify", stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def found() -> list[str]:
    return [finding.what for finding in verify().findings]


def forget(rows: "QuerySet[Any, Any]") -> None:
    """Delete rows as a hand with SQL does: nothing else goes with them, no constraint is asked."""
    rows._raw_delete(rows.db)  # type: ignore[attr-defined]


def test_an_untouched_record_is_proven(proven: Message) -> None:
    out, err = run()
    assert err == ""
    receipts, access, seals = out.splitlines()
    assert receipts == "2 receipts, 0 findings, 0 replies without a receipt, 0 redacted"
    assert access == f"access log: 0 entries, the last one's hash {chain.FIRST}"
    assert seals == f"seals: 2 entries, the last one's hash {Seal.objects.get(number=2).hash}"


def test_what_may_change_later_is_no_finding(ada: User, proven: Message) -> None:
    conversation = proven.conversation_id
    actions.rename(ada, conversation, "Another title")
    branches.show(ada, conversation, Message.objects.order_by("pk")[1].pk)
    Generation.objects.filter(message=proven).update(
        ttft_served_ms=3.5, ttft_perceived_ms=4.5, transport="sse"
    )
    Message.objects.filter(pk=proven.pk).update(withheld_at=timezone.now(), revision=99)
    ask(ada, "And what is being written?", conversation)
    actions.delete(ada, conversation)
    assert found() == []


def of(model: type[Model], /, **change: Any) -> Any:
    path = {Message: "pk", Receipt: "generation__message"}.get(model, "message")
    return pytest.param(model, path, change, id=f"{model.__name__}.{next(iter(change))}")


@pytest.mark.parametrize(
    ("model", "path", "change"),
    [
        of(Message, text="As it never was."),
        of(Message, text=""),
        of(Message, reasoning="I never thought so."),
        of(Message, role="user"),
        of(Message, parent=None),
        of(Generation, state="stopped"),
        of(Generation, finish_reason="length"),
        of(Generation, stop_reason="user"),
        of(Generation, model="another"),
        of(Generation, prompt_tokens=5),
        of(Generation, completion_tokens=None),
        of(Generation, tokens_estimated=True),
        of(Generation, calls=7),
        of(Generation, error_kind="refused"),
        of(Generation, error_detail="It was asked to."),
        of(Generation, parameters={"temperature": 2}),
        of(Generation, request={"messages": []}),
        of(Generation, request_id="none"),
        of(ToolCall, name="cards"),
        of(ToolCall, arguments="{}"),
        of(ToolCall, parsed={"sides": 7}),
        of(ToolCall, result="6"),
        of(ToolCall, state="failed"),
        of(ToolCall, decision="approved"),
        of(Receipt, sha256="0" * 64),
        of(Receipt, state="stopped"),
        of(Receipt, finish_reason="length"),
        of(Receipt, characters=1),
        of(Receipt, completion_tokens=9),
        of(Receipt, schema_verdict="valid"),
        of(Receipt, verdict="flagged"),
    ],
)
def test_a_value_that_was_changed_is_found(
    proven: Message, model: type[Model], path: str, change: dict[str, Any]
) -> None:
    # A tree with a hole in it is no tree to a page, but what wrote it asks no page.
    assert model._default_manager.filter(**{path: proven.pk}).update(**change) == 1
    assert found()
    with pytest.raises(CommandError):
        run()


def test_a_verdict_that_was_changed_is_found_by_its_receipt(proven: Message) -> None:
    Verdict.objects.filter(message=proven).update(state="flagged")
    assert found() == ["the receipt says passed, the verdicts flagged"]


def test_a_text_changed_together_with_its_receipt_is_found(proven: Message) -> None:
    from hashlib import sha256

    text = "As it never was."
    Message.objects.filter(pk=proven.pk).update(text=text)
    Receipt.objects.filter(generation__message=proven).update(
        sha256=sha256(text.encode()).hexdigest(), characters=len(text)
    )
    assert f"not as it was sealed: text of message {proven.pk}" in found()


def test_a_question_that_was_changed_is_found(proven: Message) -> None:
    """Of both replies to it."""
    Message.objects.filter(pk=proven.parent_id).update(text="Another question?")
    assert found() == [f"not as it was sealed: text of message {proven.parent_id}"] * 2


def test_a_conversation_that_was_given_to_another_is_found(proven: Message, bob: User) -> None:
    Conversation.objects.filter(pk=proven.conversation_id).update(owner=bob)
    assert found() == ["not as it was sealed: owner"] * 2


def rows_of(message: Message) -> "dict[str, QuerySet[Any, Any]]":
    generations = Generation.objects.filter(message=message)
    return {
        "call": ToolCall.objects.filter(message=message),
        "verdict": Verdict.objects.filter(message=message),
        "receipt": Receipt.objects.filter(generation__message=message),
        "generation": generations,
        "message": Message.objects.filter(pk=message.pk),
    }


@pytest.mark.parametrize(
    ("gone", "what"),
    [
        (["call"], "not as it was sealed: tool calls"),
        (["receipt"], "not as it was sealed: receipt sha256"),
        (["verdict", "receipt", "generation"], "a reply that was sealed is gone"),
        (["call", "verdict", "receipt", "generation", "message"], "a reply that was sealed"),
    ],
    ids=["call", "receipt", "generation", "whole reply"],
)
def test_rows_that_were_deleted_are_missed(proven: Message, gone: list[str], what: str) -> None:
    Conversation.objects.filter(pk=proven.conversation_id).update(head=proven.parent)
    for name in gone:
        rows = rows_of(proven)[name]
        pks = list(rows.values_list("pk", flat=True))
        forget(rows.model.objects.filter(pk__in=pks))
    assert any(what in finding for finding in found())


def test_what_stays_of_a_purge_tells_nobody_what_a_short_text_was(ada: User) -> None:
    left = []
    for _ in range(2):
        conversation, _asked, reply = talk(ada, "Yes.")
        prove(reply)
        (seal,) = Seal.objects.filter(conversation_id=conversation)
        hashes = set(re.findall(r"[0-9a-f]{64}", json.dumps(seal.contents)))
        assert hashes
        assert hashlib.sha256(b"Yes.").hexdigest() not in hashes
        left.append(hashes)
    assert left[0] & left[1] == set()


def test_a_tombstone_from_before_there_were_seals_is_proven_by_the_access_log(
    proven: Message,
) -> None:
    Generation.objects.update(finished_at=timezone.now() - 10 * GRACE)
    assert purge.purge(proven.conversation, purge.REQUESTED) is not None
    forget(QuerySet(Seal))
    assert found() == []


def test_a_long_history_is_sealed_as_a_whole(ada: User) -> None:
    """As a program sends it: of many messages before a reply, each one is proven."""
    asked = ask(ada)
    conversation = asked.conversation
    last = asked
    for number in range(LISTED + 2):
        last = Message.objects.create(
            conversation=conversation, parent=last, role=Role.USER, text=f"No. {number}",
            created_revision=1, revision=1,
        )  # fmt: skip
    reply = end(conversation.pk, "Yes.")
    Message.objects.filter(pk=reply.pk).update(parent=last)
    prove(reply)
    seal = Seal.objects.get()
    assert len(seal.contents["messages"]) == LISTED
    assert found() == []
    Message.objects.filter(pk=asked.pk).update(text="Something else?")
    assert found() == ["not as it was sealed: history"]
    Message.objects.filter(pk=asked.pk).update(text=asked.text)
    Message.objects.filter(pk=last.pk).update(text="Something else?")
    assert found() == [f"not as it was sealed: text of message {last.pk}"]


FORGED_TOMBSTONE = [
    "a tombstone of which the access log has no purge",
    "its seals are not those that its purge has left",
]


def test_a_conversation_that_was_deleted_by_hand_is_missed(proven: Message) -> None:
    conversation = proven.conversation
    Conversation.objects.filter(pk=conversation.pk).update(head=None)
    Message.objects.filter(conversation=conversation).update(parent=None)
    Conversation.objects.filter(pk=conversation.pk).delete()
    assert found() == ["it was sealed and is gone, and no purge says so"]
    Tombstone.objects.create(
        conversation_id=conversation.pk,
        owner=conversation.owner,
        messages=3,
        replies=2,
        sha256="0" * 64,
        created_at=timezone.now(),
        active_at=timezone.now(),
    )
    assert found() == FORGED_TOMBSTONE


def test_a_conversation_that_was_purged_is_not_missed(proven: Message) -> None:
    long_ago = timezone.now() - 10 * GRACE
    Generation.objects.update(finished_at=long_ago)
    assert purge.purge(proven.conversation, purge.REQUESTED) is not None
    assert found() == []
    Tombstone.objects.update(sha256="0" * 64)
    assert found() == FORGED_TOMBSTONE


def test_a_message_that_was_inserted_is_found(proven: Message) -> None:
    row = Message.objects.create(
        conversation=proven.conversation,
        parent=proven,
        role=Role.USER,
        text="I never said this.",
        created_revision=1,
        revision=1,
    )
    (finding,) = verify().findings
    assert (finding.message_id, "it was inserted" in finding.what) == (row.pk, True)


def test_a_reply_that_was_inserted_with_a_receipt_is_found(proven: Message) -> None:
    copy = Message.objects.get(pk=proven.pk)
    copy.pk = None
    copy.send_key = None
    copy.save()
    generation = Generation.objects.get(message=proven)
    receipt = Receipt.objects.get(generation=generation)
    generation.pk, generation.message = None, copy
    generation.save()
    receipt.pk, receipt.generation = None, generation
    receipt.save()
    assert found() == ["it has a receipt and was never sealed"]


def test_a_seal_that_was_deleted_or_changed_breaks_the_chain(proven: Message) -> None:
    QuerySet(Seal).filter(number=1).delete()
    with pytest.raises(CommandError):
        run()
    assert chain.verify(Seal).broken == chain.Broken(1, "an entry is missing")


def test_a_finding_says_where(proven: Message) -> None:
    Message.objects.filter(pk=proven.pk).update(text="Not so.")
    finding = verify().findings[0]
    assert uuid.UUID(finding.conversation_id) == proven.conversation_id
    assert finding.message_id == proven.pk
    err = StringIO()
    with pytest.raises(CommandError):
        call_command("verify", stdout=StringIO(), stderr=err)
    assert f"conversation {proven.conversation_id}, message {proven.pk}: " in err.getvalue()


def test_a_reply_without_a_receipt_is_counted_once_it_should_have_one(ada: User) -> None:
    message = talk(ada, "Unproven.")[2]
    assert verify().missing == 0
    late = timezone.now() - 2 * GRACE
    Generation.objects.filter(message=message).update(finished_at=late)
    assert verify().missing == 1
    with pytest.raises(CommandError):
        run()


def test_a_seal_has_no_word_of_what_was_said(proven: Message) -> None:
    said = str(list(Seal.objects.values_list("contents", flat=True)))
    for word in ("As it was.", "think", "dice", "sides", "Hello?", "No."):
        assert word not in said


def test_what_was_there_before_sealing_is_sealed_by_the_upgrade(proven: Message) -> None:
    from django.apps import apps

    from chat.record import seals

    was = list(Seal.objects.order_by("number").values_list("generation_id", flat=True))
    forget(QuerySet(Seal))
    assert len(found()) == 2
    seals.begin(apps)
    assert list(Seal.objects.order_by("number").values_list("generation_id", flat=True)) == was
    assert found() == []
    assert chain.verify(Seal).broken is None
    conversation = proven.conversation
    ask(conversation.owner, "More?", conversation.pk)
    prove(end(conversation.pk, "Yes."))
    assert chain.verify(Seal).entries == 3
    assert found() == []
