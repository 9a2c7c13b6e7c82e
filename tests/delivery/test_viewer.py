"""One open page: it gets everything once, in order, whenever it comes and whatever it has."""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
from django.db import transaction
from django.utils import timezone

from chat import actions
from chat.database import in_database
from chat.delivery.viewer import Gone, Viewer
from chat.models import Conversation, Generation, Message, User, next_revision
from chat.services import Services
from tests.conftest import make_user
from tests.fake_provider import FakeProvider, Finish, Gate, Reasoning, Script, Text, reply
from tests.support import eventually
from tests.test_pipeline import ask, ended


class Page:
    """What a page was sent, and the little of htmx that a test needs to read it."""

    def __init__(self) -> None:
        self.frames: list[str] = []
        self.cursor = -1

    async def take(self, frame: str) -> None:
        self.frames.append(frame)
        self.cursor = json.loads(frame)["cursor"]

    def has(self, text: str) -> bool:
        return any(text in json.loads(frame)["content"] for frame in self.frames)

    async def gets(self, text: str) -> None:
        async def probe() -> bool:
            return self.has(text)

        await eventually(probe, message=f"{text!r} did not come; frames: {self.frames}")

    def count(self, text: str) -> int:
        return sum(json.loads(frame)["content"].count(text) for frame in self.frames)

    def status(self) -> str:
        found = re.findall(r'<span data-state=\\?"([\w-]+)', "".join(self.frames))
        return found[-1] if found else ""


@asynccontextmanager
async def watching(
    running: Services, user: User, conversation: uuid.UUID, cursor: int = -1, *, new: bool = False
) -> AsyncIterator[tuple[Page, Viewer]]:
    page = Page()
    viewer = Viewer(user.pk, conversation, running.log, page.take, new=new)
    task = asyncio.create_task(viewer.run(cursor))
    try:
        yield page, viewer
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_the_first_words_are_there_before_the_last(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("First words"), Gate("rest"), Text(", last words."), Finish()))
    conversation = await ask()
    ada = await in_database(User.objects.get, username="ada")
    async with watching(running, ada, conversation) as (page, viewer):
        await page.gets("First")
        assert not page.has("last")
        provider.open("rest")
        await ended(conversation)
        viewer.ring()
        await page.gets('data-state="complete"')


async def test_a_page_that_has_nothing_gets_the_whole_transcript(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(reply("An answer."))
    conversation = await ask("A question?")
    await ended(conversation)
    ada = await in_database(User.objects.get, username="ada")
    async with watching(running, ada, conversation) as (page, _):
        await page.gets("A question?")
        await page.gets("An answer.")


async def test_a_page_that_has_everything_gets_nothing(
    running: Services, provider: FakeProvider
) -> None:
    conversation = await ask()
    await ended(conversation)
    row = await in_database(Conversation.objects.get, pk=conversation)
    ada = await in_database(User.objects.get, username="ada")
    async with watching(running, ada, conversation, row.revision) as (page, viewer):
        viewer.ring_list()  # the answer to this comes after whatever came before
        await page.gets("conversation-item")
        assert len(page.frames) == 1


async def test_a_page_that_comes_in_the_middle_catches_up_at_once(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(
        Script(
            Reasoning("Hm."), Text("Once upon a time"), Gate("rest"), Text(" the end."), Finish()
        )
    )
    conversation = await ask()
    ada = await in_database(User.objects.get, username="ada")
    async with watching(running, ada, conversation) as (first, _):
        await first.gets(" time")
        async with watching(running, ada, conversation) as (second, _):
            await second.gets("Once upon a time")
            await second.gets("Hm.")
            provider.open("rest")
            await second.gets("end.")
            await first.gets("end.")


async def test_a_page_that_was_loaded_in_the_middle_goes_on_though_nothing_is_newer(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("Once upon a time"), Gate("rest"), Text(" the end."), Finish()))
    conversation = await ask()
    ada = await in_database(User.objects.get, username="ada")
    async with watching(running, ada, conversation) as (first, _):
        await first.gets(" time")
        async with watching(running, ada, conversation, first.cursor) as (second, _):
            await second.gets("Once upon a time")
            provider.open("rest")
            await second.gets("end.")


async def test_a_page_that_followed_to_the_end_gets_no_second_copy_of_the_text(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("unique-words"), Gate("rest"), Text(" end"), Finish()))
    conversation = await ask()
    ada = await in_database(User.objects.get, username="ada")
    async with watching(running, ada, conversation) as (page, viewer):
        await page.gets("words")
        provider.open("rest")
        await ended(conversation)
        viewer.ring()
        await page.gets("checked")
        assert page.count('<article class="message message-assistant"') == 1


async def test_the_page_of_an_unwritten_conversation_waits_for_its_first_message(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("All is"), Gate("rest"), Text(" well."), Finish()))
    ada = await in_database(make_user, "ada")
    conversation = uuid.uuid4()
    async with watching(running, ada, conversation, 0, new=True) as (page, viewer):
        await in_database(actions.send, ada, conversation, "Hi!", "first-key", may_create=True)
        viewer.ring()
        await page.gets("Hi!")
        provider.open("rest")
        await page.gets("well.")


async def test_a_stranger_s_viewer_sees_nothing(running: Services, provider: FakeProvider) -> None:
    conversation = await ask("A secret")
    bob = await in_database(make_user, "bob")
    page = Page()
    for new in (False, True):
        with pytest.raises(Gone):
            await Viewer(bob.pk, conversation, running.log, page.take, new=new).run(-1)
    assert page.frames == []


async def test_deleting_ends_the_viewers(running: Services, provider: FakeProvider) -> None:
    provider.enqueue(Script(Text("Some"), Gate("never"), Finish()))
    conversation = await ask()
    ada = await in_database(User.objects.get, username="ada")
    page = Page()
    viewer = Viewer(ada.pk, conversation, running.log, page.take)
    task = asyncio.create_task(viewer.run(-1))
    await page.gets("Some")
    await in_database(actions.delete, ada, conversation)
    viewer.ring()
    with pytest.raises(Gone):
        await task
    await provider.eventually(lambda: not provider.open_streams, timeout=1)
    generation = await ended(conversation)
    assert (generation.state, generation.message.text) == ("stopped", "Some")


async def test_hostile_words_reach_the_page_as_words(
    running: Services, provider: FakeProvider
) -> None:
    hostile = '</div><script>alert(1)</script><hx-partial hx-target="#composer">'
    provider.enqueue(reply(hostile))
    conversation = await ask(hostile)
    ada = await in_database(User.objects.get, username="ada")
    async with watching(running, ada, conversation) as (page, viewer):
        await ended(conversation)
        viewer.ring()
        await page.gets("checked")
        assert page.count("<script") == 0
        assert page.count('<hx-partial hx-target="#composer"') == 0
        assert page.has("&lt;script&gt;")


async def test_the_served_time_to_first_token_is_kept(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("Hi"), Gate("rest"), Finish()))
    conversation = await ask()
    ada = await in_database(User.objects.get, username="ada")

    def served() -> float | None:
        return Message.objects.get(
            conversation=conversation, role="assistant"
        ).generation.ttft_served_ms

    async with watching(running, ada, conversation) as (page, _):
        await page.gets("Hi")
        assert await eventually(lambda: in_database(served))
        provider.open("rest")


async def test_what_is_served_is_never_later_than_what_is_painted(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("Hi"), Gate("rest"), Finish()))
    conversation = await ask()
    ada = await in_database(User.objects.get, username="ada")
    painted: list[datetime] = []

    async def take(frame: str) -> None:
        if "Hi" in json.loads(frame)["content"]:
            painted.append(timezone.now())
            await asyncio.sleep(0.1)  # this process has its turn again later

    def made() -> Generation:
        return Generation.objects.get(conversation=conversation, purpose="reply")

    async def served() -> float | None:
        return (await in_database(made)).ttft_served_ms

    viewer = Viewer(ada.pk, conversation, running.log, take)
    task = asyncio.create_task(viewer.run(-1))
    served_ms = await eventually(served)
    asked_at = (await in_database(made)).created_at
    task.cancel()
    await asyncio.wait([task])
    provider.open("rest")
    assert served_ms is not None
    assert served_ms <= (painted[0] - asked_at).total_seconds() * 1000


async def test_a_reply_that_is_let_through_again_comes_back(
    running: Services, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("unique-words"), Gate("rest"), Text(" end"), Finish()))
    conversation = await ask()
    ada = await in_database(User.objects.get, username="ada")
    async with watching(running, ada, conversation) as (page, viewer):
        await page.gets("words")
        provider.open("rest")
        reply = (await ended(conversation)).message_id
        viewer.ring()
        await page.gets("checked")
        await in_database(_withhold, reply, timezone.now())
        viewer.ring()
        await page.gets("withheld")
        shown = page.count("unique-words")
        await in_database(_withhold, reply, None)
        viewer.ring()
        await eventually(lambda: _as_it_is(page.count("unique-words") > shown))


def _withhold(message_id: int, at: datetime | None) -> None:
    with transaction.atomic():
        message = Message.objects.filter(pk=message_id)
        revision = next_revision(message.get().conversation_id)
        message.update(withheld_at=at, revision=revision)


async def _as_it_is(value: bool) -> bool:
    return value
