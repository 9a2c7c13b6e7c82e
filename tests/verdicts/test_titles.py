"""A title is made of nothing that moderation objected to, and is judged itself."""

import json

from chat import branches
from chat.database import in_database
from chat.models import (
    Conversation,
    Generation,
    User,
)
from chat.services import Services
from tests.fake_provider import (
    FakeProvider,
)
from tests.support import eventually
from tests.test_pipeline import ask, ended
from tests.verdicts.asking import RUDE, question, rule


async def test_a_title_is_not_made_of_a_question_that_was_stopped(
    running: Services, provider: FakeProvider
) -> None:
    await rule("input", "stop")
    conversation = await ask(RUDE)
    await ended(conversation)
    user = await in_database(User.objects.get, username="ada")
    asked = await question(conversation)
    await in_database(branches.edit, user, conversation, asked.pk, "Hello there", "edit-key")
    requests = await provider.eventually(
        lambda: [r for r in provider.requests if r.kind == "completion"]
    )
    assert "worthless" not in json.dumps([request.body for request in requests])


async def test_a_title_that_a_model_words_badly_is_left(
    running: Services, provider: FakeProvider
) -> None:
    provider.title = RUDE
    conversation = await ask("Hello there")
    rows = Generation.objects.filter(conversation=conversation, purpose="title", state="failed")
    await eventually(lambda: in_database(rows.filter(error_kind="moderated").exists))
    titles = Conversation.objects.filter(pk=conversation).values_list("title", flat=True)
    assert await in_database(titles.get) == "Hello there"
