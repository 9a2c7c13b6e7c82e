"""What a request tells the provider beside the text of its messages is judged like that."""

import json
import uuid
from typing import Any

import pytest

from chat import reconcile
from chat.api.actions import accept
from chat.api.requests import read
from chat.database import in_database
from chat.models import ApiKey, Message, State, User, Verdict
from chat.models.api import digest
from chat.passed_on import unshown
from chat.services import Services
from tests.fake_provider import FakeProvider
from tests.test_pipeline import ended
from tests.verdicts.asking import RUDE, rule

HI = {"role": "user", "content": "Hi"}


def _call(**function: str) -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": "x", "arguments": "{}"} | function}


def _said(**more: Any) -> list[dict[str, Any]]:
    return [HI, {"role": "assistant", "content": "Yes?", **more}, HI]


BODIES: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": [{"type": "input_text", "text": RUDE}]}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "more": RUDE}]}]},
    {"messages": [{"role": "user", "content": [{"type": RUDE}]}]},
    {"messages": [{"role": "user", "name": RUDE, "content": ""}]},
    {"messages": _said(refusal=RUDE)},
    {"messages": _said(reasoning_content=RUDE)},
    {"messages": _said(content=[{"type": "thinking", "thinking": {"deep": [RUDE]}}])},
    {"messages": _said(function_call={"name": "f", "arguments": json.dumps({"a": RUDE})})},
    {"messages": _said(tool_calls=[_call(name="n" * 300 + " " + RUDE)])},
    {"messages": _said(tool_calls=[_call(name=RUDE)])},
    {"messages": _said(tool_calls=[_call(arguments=f'{RUDE} {{"a": "b"}}')])},
    {"messages": _said(tool_calls=[_call(arguments=f'{{"a": "b"}} {RUDE}')])},
    {"messages": _said(tool_calls=[_call(arguments=f'{{"a": "{RUDE}", "a": "b"}}')])},
    {
        "messages": [HI],
        "tools": [{"type": "function", "function": {"name": "f", "description": RUDE}}],
    },
    {"messages": [HI], "response_format": {"type": "json_schema", "json_schema": {"title": RUDE}}},
    {"messages": [HI], "prediction": {"type": "content", "content": RUDE}},
]


def _accept(body: dict[str, Any]) -> uuid.UUID:
    owner = User.objects.create_user("program", "program@example.org")
    key = ApiKey.objects.create(owner=owner, sha256=digest("x"), shown="x")
    conversation = uuid.uuid4()
    asked = read(json.dumps({"model": "fake", **body}).encode(), ["fake"], "fake")
    accept(key, asked, conversation, "")
    return conversation


@pytest.mark.parametrize("body", BODIES)
async def test_nothing_that_a_model_would_read_evades(
    running: Services, provider: FakeProvider, body: dict[str, Any]
) -> None:
    await rule("input", "stop")
    generation = await ended(await in_database(_accept, body))
    assert (generation.state, generation.error_kind) == (State.FAILED, "moderated")
    assert provider.streams == []


@pytest.mark.django_db
@pytest.mark.parametrize("body", BODIES)
def test_who_judges_it_later_judges_the_same(body: dict[str, Any]) -> None:
    said = Message.objects.filter(conversation=_accept(body)).exclude(generation__isnull=False)
    found = {message.pk: reconcile.judged(message)[0] for message in said}
    (rude,) = [pk for pk, text in found.items() if RUDE in text]
    assert Verdict.objects.filter(message=rude).exists()


def test_pictures_and_sounds_are_no_words() -> None:
    url = "data:image/png;base64," + "iVBORw0KGgo" * 100
    parts = [{"type": "image_url", "image_url": {"url": url, "detail": "high"}}]
    found = list(unshown({"messages": [{"role": "user", "content": parts}]}, 0))
    assert url not in found
    assert "high" in found
