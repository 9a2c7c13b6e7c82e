"""Replies of assistants, from the message to the receipt: tools, approvals, answers in a form."""

import asyncio
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from chat import actions, answers
from chat.access import Http404
from chat.database import in_database
from chat.models import (
    Assistant,
    AssistantVersion,
    CallState,
    Conversation,
    Decision,
    Generation,
    Message,
    State,
    ToolCall,
    User,
)
from chat.services import Services
from tests.conftest import make_user
from tests.delivery.test_viewer import watching
from tests.fake_provider import Done, FakeProvider, Finish, Gate, Script, Text, reply, tool_call
from tests.presets import make_assistant
from tests.support import eventually
from tests.test_pipeline import ended

SUM = Script(
    Text("Let me see."),
    *tool_call("calculator", '{"expression": "6 * 7"}'),
    Finish("tool_calls"),
    Done(),
)
LABELLED = Path(__file__).parent / "moderation/labelled.jsonl"
SAMPLES = map(json.loads, LABELLED.read_text().splitlines())
FLAGGED = next(sample["text"] for sample in SAMPLES if sample["flagged"])
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
}


def _ask(version: dict[str, Any], text: str) -> tuple[User, uuid.UUID]:
    user = User.objects.filter(username="ada").first() or make_user("ada")
    assistant = make_assistant(user, **version)
    conversation = uuid.uuid4()
    actions.send(
        user, conversation, text, uuid.uuid4().hex, may_create=True, assistant_id=assistant.pk
    )
    return user, conversation


async def ask(text: str = "6 * 7?", **version: Any) -> tuple[User, uuid.UUID]:
    return await in_database(_ask, version, text)


def _calls(conversation: uuid.UUID) -> list[ToolCall]:
    return list(ToolCall.objects.filter(message__conversation=conversation))


async def test_a_tool_is_run_and_its_result_answered(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(SUM, reply("It is 42."))
    user, conversation = await ask(tools=["calculator"], instructions="Be exact.", model="clever")
    generation = await ended(conversation)
    assert generation.state == State.COMPLETE
    assert generation.message.text == "Let me see.\n\nIt is 42."
    (call,) = await in_database(_calls, conversation)
    assert (call.state, call.result, call.parsed) == ("done", "42", {"expression": "6 * 7"})
    first, second = (request.body for request in provider.streams[:2])
    assert first["model"] == "clever"
    assert first["messages"][0] == {"role": "system", "content": "Be exact."}
    assert [tool["function"]["name"] for tool in first["tools"]] == ["calculator"]
    assert second["messages"][-1] == {"role": "tool", "tool_call_id": "call_1", "content": "42"}
    # The next message brings the call and its result along.
    provider.enqueue(reply("You are welcome."))
    await in_database(actions.send, user, conversation, "Thanks.", "k" * 12, may_create=False)
    await provider.eventually(lambda: len(provider.streams) == 3)
    sent = provider.streams[2].body["messages"]
    assert [message["role"] for message in sent] == [
        "system", "user", "assistant", "tool", "assistant", "user",
    ]  # fmt: skip
    assert sent[2]["tool_calls"][0]["function"]["arguments"] == '{"expression": "6 * 7"}'
    assert sent[4]["content"] == "It is 42."


async def test_invalid_arguments_are_on_record_and_not_run(
    running: Services, provider: FakeProvider
) -> None:
    bad = Script(*tool_call("calculator", '{"expr": 1}'), Finish("tool_calls"), Done())
    provider.enqueue(bad, reply("Sorry."))
    _user, conversation = await ask(tools=["calculator"])
    generation = await ended(conversation)
    (call,) = await in_database(_calls, conversation)
    assert (generation.state, call.state) == (State.COMPLETE, "invalid")
    assert "expression" in call.result


def _waits(conversation: uuid.UUID) -> ToolCall | None:
    rows = ToolCall.objects.filter(message__conversation=conversation, state="waiting")
    return rows.select_related("message").first()


async def waiting(conversation: uuid.UUID) -> ToolCall:
    return await eventually(lambda: in_database(_waits, conversation))


@pytest.mark.parametrize(
    ("decision", "state"), [(Decision.APPROVED, "done"), (Decision.DENIED, "denied")]
)
async def test_the_user_is_asked_and_a_page_that_comes_later_too(
    running: Services, provider: FakeProvider, decision: Decision, state: str
) -> None:
    provider.enqueue(SUM, reply("So be it."))
    user, conversation = await ask(tools=["calculator"], approvals=["calculator"])
    call = await waiting(conversation)
    for _ in range(2):  # a reload
        async with watching(running, user, conversation) as (page, _viewer):
            await page.gets("Allow the call of")
            await page.gets('data-state="approval"')
    async with watching(running, user, conversation) as (page, _viewer):
        decided = actions.decide, user, conversation, call.message_id, 0, decision
        assert await in_database(*decided)
        assert not await in_database(*decided)  # the second press finds nothing to decide
        await page.gets('data-state="complete"')
    generation = await ended(conversation)
    (call,) = await in_database(_calls, conversation)
    assert (generation.state, call.state, call.decision) == (State.COMPLETE, state, decision)


async def test_nobody_else_decides(running: Services, provider: FakeProvider) -> None:
    provider.enqueue(SUM, reply("So be it."))
    user, conversation = await ask(tools=["calculator"], approvals=["calculator"])
    call = await waiting(conversation)
    bob = await in_database(make_user, "bob")
    decided = conversation, call.message_id, 0, Decision.APPROVED
    with pytest.raises(Http404):
        await in_database(actions.decide, bob, *decided)
    assert await in_database(_waits, conversation)
    await in_database(actions.stop, user, conversation)
    generation = await ended(conversation)
    (call,) = await in_database(_calls, conversation)
    assert (generation.state, call.state) == (State.STOPPED, CallState.STOPPED)
    assert not await in_database(actions.decide, user, *decided)


async def test_a_reply_that_waits_for_its_user_is_not_given_up(
    running: Services, provider: FakeProvider, settings: Any
) -> None:
    settings.STREAM_ABANDON_GRACE = 0.0
    provider.enqueue(SUM, Script(Text("So"), Gate("rest"), Text(" be it."), Finish(), Done()))
    user, conversation = await ask(tools=["calculator"], approvals=["calculator"])
    async with watching(running, user, conversation) as (page, _viewer):
        await page.gets("Allow the call of")
    call = await waiting(conversation)
    await asyncio.sleep(1)  # some rounds of the patrol, each of which would end it
    assert await in_database(_waits, conversation)
    # As soon as it is paid for again, somebody has to watch.
    await in_database(actions.decide, user, conversation, call.message_id, 0, Decision.APPROVED)
    generation = await ended(conversation)
    assert (generation.state, generation.stop_reason) == (State.INTERRUPTED, "no_viewer")


@pytest.mark.parametrize(
    ("text", "verdict", "where"),
    [
        ('{"name": "Ada", "age": 36}', "valid", []),
        ('{"name": "Ada", "age": -1}', "invalid", [["age"]]),
        ('{"name": "Ada"}', "invalid", [[]]),
        ('{"name": "Ada", "ag', "invalid", [[]]),
        ("I would rather not.", "invalid", [[]]),
    ],
)
async def test_an_answer_in_a_form_is_judged(
    running: Services, provider: FakeProvider, text: str, verdict: str, where: list[object]
) -> None:
    provider.enqueue(reply(text))
    user, conversation = await ask("Who?", response_schema=SCHEMA)
    async with watching(running, user, conversation) as (page, viewer):
        await page.gets('data-state="complete"')
        viewer.ring()
        if text.startswith("{"):
            assert page.has("Ada")
            assert not page.has("{&quot;")
        await page.gets("valid" if verdict == "valid" else "does not have the form")
    receipt = (await ended(conversation)).receipt
    assert receipt.schema_verdict == verdict
    assert [error["path"] for error in receipt.schema_errors] == where
    form = provider.streams[0].body["response_format"]
    assert form["json_schema"]["schema"] == SCHEMA


def answered(user: User, text: str, verdict: str) -> Message:
    """The stored answer of an assistant with a schema."""
    from tests.talk import end

    _user, conversation = _ask({"response_schema": SCHEMA}, "Who?")
    message = end(conversation, text)
    generation = Generation.objects.select_related("assistant").get(message=message)
    from chat import reconcile

    reconcile.write(generation, reconcile.whole_of(message), {})
    assert generation.receipt.schema_verdict == verdict
    return message


def test_a_valid_answer_can_be_downloaded_by_its_owner(
    ada: User, bob: User, sign_in: Callable[[User], Client]
) -> None:
    message = answered(ada, '{"name": "Ada", "age": 36}', "valid")
    path = f"/c/{message.conversation_id}/messages/{message.pk}/answer.json"
    answer = sign_in(ada).get(path)
    assert json.loads(answer.content) == {"name": "Ada", "age": 36}
    assert "attachment" in answer["Content-Disposition"]
    assert sign_in(bob).get(path).status_code == 404
    page = sign_in(ada).get(f"/c/{message.conversation_id}/").content.decode()
    assert path in page
    assert "Ada" in page


def test_an_invalid_answer_says_what_is_wrong_and_is_not_for_download(
    ada: User, sign_in: Callable[[User], Client]
) -> None:
    message = answered(ada, '{"name": "<b>Ada", "age": -1}', "invalid")
    client = sign_in(ada)
    page = client.get(f"/c/{message.conversation_id}/").content.decode()
    assert "does not have the form" in page
    assert "<strong>age</strong>" in page
    assert "Try again" in page
    assert "<b>Ada" not in page
    path = f"/c/{message.conversation_id}/messages/{message.pk}/answer.json"
    assert client.get(path).status_code == 404


def test_the_export_has_the_calls_as_they_were(
    ada: User, sign_in: Callable[[User], Client]
) -> None:
    from tests.talk import end

    _user, conversation = _ask({"tools": ["calculator"], "instructions": "Be exact."}, "6 * 7?")
    message = end(conversation, "It is 42.")
    ToolCall.objects.create(
        message=message, number=0, round=1, offset=0, call_id="c1", name="calculator",
        arguments='{"expression":', parsed=None, state="invalid", result="No.",
    )  # fmt: skip
    export = json.loads(sign_in(ada).get(f"/c/{conversation}/export.json").content)
    (entry,) = (m for m in export["messages"] if m["role"] == "assistant")
    (call,) = entry["tool_calls"]
    assert call["arguments"] == '{"expression":'
    assert (call["id"], call["parsed"], call["result"], call["state"]) == (
        "c1",
        None,
        "No.",
        "invalid",
    )
    assert entry["assistant"] == {"name": "Helper", "version": 1, "instructions": "Be exact."}


def test_a_later_version_changes_no_transcript(ada: User) -> None:
    _user, conversation = _ask({"instructions": "Old."}, "Hi?")
    assistant = Assistant.objects.get()
    version = assistant.newest
    assert version is not None
    version.pk, version.number, version.instructions = None, 2, "New."
    version.save()
    assistant.newest = version
    assistant.save()
    generation = Generation.objects.select_related("assistant").get(conversation=conversation)
    assert generation.assistant is not None
    assert generation.assistant.instructions == "Old."
    assert Conversation.objects.get().assistant == assistant


async def test_what_calls_and_fields_say_is_moderated_too(
    running: Services, provider: FakeProvider
) -> None:
    """Neither a call's arguments nor the escapes of JSON are a way past moderation (I5)."""
    spelt = "".join(f"\\u{ord(letter):04x}" for letter in FLAGGED)
    arguments = f'{{"expression": "{spelt}"}}'
    provider.enqueue(
        Script(*tool_call("calculator", arguments), Finish("tool_calls"), Done()), reply("Done.")
    )
    _user, conversation = await ask(tools=["calculator"])
    generation = await ended(conversation)
    assert generation.receipt.verdict == "flagged"
    assert generation.message.withheld_at is not None
    provider.enqueue(reply(f'{{"name": "{spelt}", "age": 1}}'))
    _user, conversation = await ask("Who?", response_schema=SCHEMA)
    generation = await ended(conversation)
    assert generation.receipt.verdict == "flagged"


def test_of_a_withheld_answer_nothing_is_exported(
    ada: User, sign_in: Callable[[User], Client]
) -> None:
    message = answered(ada, '{"name": "Ada", "age": -1}', "invalid")
    Message.objects.filter(pk=message.pk).update(withheld_at=message.created_at)
    client = sign_in(ada)
    export = client.get(f"/c/{message.conversation_id}/export.json").content.decode()
    page = client.get(f"/c/{message.conversation_id}/").content.decode()
    assert "minimum" not in export
    assert "minimum" not in page


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "foo"},
        {"$schema": 1},
        {"$schema": "http://["},
        {"type": "object", "properties": 1},
        {"$ref": "http://127.0.0.1:9/x"},
        {"type": "object", "additionalProperties": {"anyOf": [{"const": n} for n in range(3_000)]}},
    ],
)
def test_no_schema_keeps_a_reply_from_being_judged(schema: dict[str, Any]) -> None:
    text = json.dumps({f"k{n}": "x" for n in range(200)} | {"a\0b": "y"})
    verdict, errors = answers.judge(text, schema)
    assert (verdict, len(errors) > 0) == ("invalid", True)


def test_errors_can_be_kept_by_every_database(ada: User) -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    _verdict, errors = answers.judge('{"a\\u0000b": "x\\u0000"}', schema)
    assert "\0" not in json.dumps(errors, ensure_ascii=False)
    assert errors[0]["path"] == ["a\ufffdb"]


@pytest.mark.parametrize("before", ["", "I will look it up. " * 20])
async def test_an_answer_after_a_call_is_the_answer(
    running: Services, provider: FakeProvider, before: str
) -> None:
    provider.enqueue(
        Script(Text(before), *tool_call("calculator", '{"expression": "6 * 6"}'),
               Finish("tool_calls"), Done()),
        reply('{"name": "Ada", "age": 36}'),
    )  # fmt: skip
    user, conversation = await ask("Who?", response_schema=SCHEMA, tools=["calculator"])
    async with watching(running, user, conversation) as (page, _viewer):
        await page.gets('data-state="complete"')
    async with watching(running, user, conversation) as (late, _viewer):
        await late.gets("Ada")
        assert late.has(before.strip()) or not before
    generation = await ended(conversation)
    assert generation.receipt.schema_verdict == "valid"


def test_the_order_of_a_schema_is_kept(ada: User) -> None:
    schema = {"type": "object", "properties": {"zebra": {}, "ant": {}, "mule": {}}}
    _ask({"response_schema": schema}, "Who?")
    version = AssistantVersion.objects.get()
    assert list(version.response_schema["properties"]) == ["zebra", "ant", "mule"]
