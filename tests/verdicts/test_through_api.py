"""A request through the API is judged whole, whatever part of it says what."""

import json
import uuid
from typing import Any

import pytest

from chat.api.actions import accept
from chat.api.requests import read
from chat.database import in_database
from chat.models import (
    ApiKey,
    State,
    Verdict,
)
from chat.services import Services
from tests.fake_provider import (
    FakeProvider,
)
from tests.support import eventually
from tests.test_pipeline import ended
from tests.verdicts.asking import RUDE, rule

HISTORIES = [
    [{"role": "user", "content": RUDE}],
    [{"role": "system", "content": RUDE}, {"role": "user", "content": "Hi"}],
    [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": RUDE},
        {"role": "user", "content": "Go on"},
    ],
    [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {
                        "name": "say",
                        # As JSON can spell it.
                        "arguments": json.dumps({"to": RUDE}).replace("k", "\\u006b"),
                    },
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "said"},
    ],
    [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "x", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": RUDE},
    ],
]


@pytest.mark.parametrize("messages", HISTORIES)
async def test_no_part_of_a_history_through_the_api_evades(
    running: Services, provider: FakeProvider, key: ApiKey, messages: list[dict[str, Any]]
) -> None:
    await rule("input", "stop")
    asked = read(json.dumps({"model": "fake", "messages": messages}).encode(), ["fake"], "fake")
    conversation = uuid.uuid4()
    await in_database(accept, key, asked, conversation, "")
    generation = await ended(conversation)
    assert (generation.state, generation.error_kind) == (State.FAILED, "moderated")
    assert provider.streams == []


async def test_a_long_history_is_judged_whole_and_written_down_in_a_few_statements(
    running: Services, provider: FakeProvider, key: ApiKey
) -> None:
    messages = [{"role": "user", "content": f"Question {n}?"} for n in range(300)]
    messages[150]["content"] = f"Hello. {RUDE}"
    asked = read(json.dumps({"model": "fake", "messages": messages}).encode(), ["fake"], "fake")
    conversation = uuid.uuid4()
    await in_database(accept, key, asked, conversation, "")
    await ended(conversation)

    def states() -> list[str]:
        rows = Verdict.objects.filter(message__conversation=conversation, message__role="user")
        return sorted(rows.values_list("state", flat=True))

    async def judged() -> bool:
        return await in_database(states) == ["flagged"] + ["passed"] * 299

    await eventually(judged)
