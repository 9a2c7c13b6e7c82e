"""An accepted request is a transcript with a queued reply; a reply is followed to its end."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from django.conf import LazySettings

from chat import actions, services
from chat.api import follow, keys
from chat.api.actions import accept, ending
from chat.api.chunks import Completion, Head
from chat.api.completion import CompletionResponse
from chat.api.errors import ApiError
from chat.api.follow import Followed
from chat.api.requests import Asked, read
from chat.database import in_database
from chat.models import ApiKey, Conversation, Generation, Role, State, User
from chat.services import Services
from tests.conftest import make_user
from tests.fake_provider import FakeProvider, Finish, Gate, Script, Text, reply
from tests.support import eventually

LABELLED = Path(__file__).parents[1] / "moderation" / "labelled.jsonl"
SAMPLES = map(json.loads, LABELLED.read_text().splitlines())
FLAGGED = next(sample["text"] for sample in SAMPLES if sample["flagged"])
HELLO = {"messages": [{"role": "user", "content": "Hello?\n\nIt is   me."}]}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"a": 1}'}}


def asked(**body: Any) -> Asked:
    return read(json.dumps(HELLO | body).encode(), ["fake"], "fake")


@pytest.fixture
def key(ada: User) -> ApiKey:
    keys.make(ada)
    return ApiKey.objects.get()


def test_the_transcript_is_a_branch_that_ends_in_an_empty_reply(
    key: ApiKey, django_assert_max_num_queries: Any
) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the weather?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ] * 50
    identity = uuid.uuid4()
    with django_assert_max_num_queries(17):
        generation_id = accept(key, asked(messages=messages, seed=1), identity, "request-1")
    conversation = Conversation.objects.get(pk=identity)
    assert (conversation.api_key, conversation.owner) == (key, key.owner)
    assert (conversation.title, conversation.titled_by_user) == ("What is the weather?", True)
    branch = conversation.branch()
    assert [m.role for m in branch[:5]] == ["system", "user", "assistant", "tool", "system"]
    assert (len(branch), branch[-1].role, branch[-1].text) == (201, Role.ASSISTANT, "")
    call = branch[2].tool_calls.get()
    assert (call.call_id, call.name, call.arguments) == ("c1", "weather", '{"a": 1}')
    generation = Generation.objects.get(pk=generation_id)
    assert (generation.message, generation.state) == (branch[-1], State.QUEUED)
    assert (generation.model, generation.request_id) == ("fake", "request-1")
    assert generation.request == {"messages": messages, "seed": 1}


def test_a_title_is_the_first_words(key: ApiKey) -> None:
    accept(key, asked(), uuid.uuid4(), "")
    assert Conversation.objects.get().title == "Hello? It is me."
    accept(key, asked(messages=[{"role": "system", "content": "x" * 500}]), uuid.uuid4(), "")
    assert Conversation.objects.latest("active_at").title == "x" * 59 + "…"


def test_replies_on_pages_count_too(key: ApiKey, settings: LazySettings) -> None:
    settings.CONCURRENT_REPLIES_PER_USER = 1
    actions.send(key.owner, uuid.uuid4(), "Hello?", uuid.uuid4().hex, may_create=True)
    with pytest.raises(ApiError) as caught:
        accept(key, asked(), uuid.uuid4(), "")
    assert caught.value.status == 429
    assert caught.value.headers()["Retry-After"]
    assert Conversation.objects.count() == 1


def test_nothing_is_accepted_while_the_server_drains(
    key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "takes_replies", lambda: False)
    with pytest.raises(ApiError) as caught:
        accept(key, asked(), uuid.uuid4(), "")
    assert (caught.value.status, "Retry-After" in caught.value.headers()) == (503, True)


def _key() -> ApiKey:
    keys.make(make_user("ada"))
    return ApiKey.objects.select_related("owner").get()


@pytest_asyncio.fixture
async def caller(running: Services) -> AsyncIterator[ApiKey]:
    yield await in_database(_key)


async def body_of(response: CompletionResponse) -> str:
    return "".join([piece async for piece in response._body()])


async def test_a_stream_that_waits_gives_signs_of_life(
    caller: ApiKey, provider: FakeProvider, settings: LazySettings
) -> None:
    settings.STREAM_HEARTBEAT = 0.05
    provider.enqueue(Script(Gate("first"), Text("Hi"), Finish()))
    response = CompletionResponse(caller, asked(stream=True), uuid.uuid4(), "")
    await response.settle()
    body = response._body()
    assert [await anext(body) for _ in range(3)] == [": waiting\n\n"] * 3
    provider.open("first")
    rest = "".join([piece async for piece in body])
    assert rest.endswith("data: [DONE]\n\n")
    assert '"content":"Hi"' in rest


async def test_what_is_stopped_on_the_page_is_not_presented_as_complete(
    caller: ApiKey, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("Half"), Gate("never"), Finish()))
    identity = uuid.uuid4()
    response = CompletionResponse(caller, asked(stream=True), identity, "")
    await response.settle()
    body = response._body()
    assert '"Half"' in await anext(body)
    await in_database(actions.stop, caller.owner, identity)
    rest = "".join([piece async for piece in body])
    assert json.loads(rest.removeprefix("data: "))["error"]["code"] == "stopped"


async def test_a_reply_that_ends_in_its_row_only_is_made_up_for(
    caller: ApiKey, provider: FakeProvider, running: Services
) -> None:
    provider.enqueue(reply("All of it."))
    completion = Completion(Head("chatcmpl-1", "fake", 0))
    followed = Followed(caller, asked(), uuid.uuid4(), completion)
    await followed.begin("")
    assert followed._subscription is not None
    followed._subscription.close()
    followed._subscription = running.log.subscribe(10**9, lambda: None)  # one that says nothing
    completion.feed(await followed.events(within_s=20))
    assert followed.ending is not None
    assert followed.ending.complete
    assert completion.text() == "All of it."
    followed.leave()


async def test_what_is_withheld_is_not_made_up_for(
    caller: ApiKey,
    provider: FakeProvider,
    running: Services,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.MODERATION_ACTION = "withhold"
    monkeypatch.setattr(follow, "LOOK_EVERY_S", 0.05)
    provider.enqueue(reply(FLAGGED))
    completion = Completion(Head("chatcmpl-1", "fake", 0))
    followed = Followed(caller, asked(), uuid.uuid4(), completion)
    await followed.begin("")
    assert followed._subscription is not None
    followed._subscription.close()
    followed._subscription = running.log.subscribe(10**9, lambda: None)  # one that says nothing
    assert await followed.events(within_s=20) == []
    assert followed.ending is not None
    assert (followed.ending.complete, followed.ending.withheld) == (True, True)
    assert followed.ending.text == FLAGGED  # on record, and nowhere else
    followed.leave()


async def test_calls_that_the_log_has_lost_are_no_complete_reply(caller: ApiKey) -> None:
    completion = Completion(Head("chatcmpl-1", "fake", 0))
    followed = Followed(caller, asked(), uuid.uuid4(), completion)
    generation_id = await in_database(accept, caller, asked(), uuid.uuid4(), "")

    async def ended() -> Any:
        return await in_database(ending, generation_id)

    found = await eventually(ended)
    assert followed._make_up(replace(found, finish_reason="tool_calls")) == []
    assert followed.ending is not None
    assert not followed.ending.complete


async def test_leaving_while_the_request_is_being_accepted_stops_it(
    caller: ApiKey, provider: FakeProvider
) -> None:
    provider.script(Script(Gate("never"), Finish()))
    response = CompletionResponse(caller, asked(), uuid.uuid4(), "")
    settling = asyncio.create_task(response.settle())
    await asyncio.sleep(0)  # it is in the thread now
    settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling

    def over() -> bool:
        return Generation.objects.filter(state=State.STOPPED, stop_reason="user").exists()

    await eventually(lambda: in_database(over))
    await provider.eventually(lambda: not provider.open_streams, timeout=1)


async def test_a_response_that_is_closed_unread_stops_its_reply(
    caller: ApiKey, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("Half"), Gate("never"), Finish()))
    response = CompletionResponse(caller, asked(stream=True), uuid.uuid4(), "")
    await response.settle()
    response.close()
    await provider.eventually(lambda: not provider.open_streams, timeout=1)


async def test_nothing_more_goes_to_a_key_that_was_revoked(
    caller: ApiKey, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "GUARD_EVERY_S", 0.0)
    provider.enqueue(Script(Text("Half"), Gate("rest"), Text(" of it"), Gate("never"), Finish()))
    response = CompletionResponse(caller, asked(stream=True), uuid.uuid4(), "")
    await response.settle()
    body = response._body()
    assert '"Half"' in await anext(body)
    assert await in_database(keys.revoke, caller.owner, caller.pk)
    provider.open("rest")
    rest = "".join([piece async for piece in body])
    assert json.loads(rest.removeprefix("data: "))["error"]["code"] == "invalid_api_key"
    assert "of it" not in rest
    # Nobody reads it any more: it is not paid for either.
    await provider.eventually(lambda: not provider.open_streams, timeout=2)

    def state() -> bool:
        return Generation.objects.filter(state=State.STOPPED, stop_reason="user").exists()

    await eventually(lambda: in_database(state))
