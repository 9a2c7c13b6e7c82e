"""What the tests of verdicts do again and again: rules made, verdicts waited for."""

import uuid
from typing import Any

from chat.database import in_database
from chat.delivery.page import message_html
from chat.models import (
    Message,
    ModerationRule,
    PolicyRule,
    ReviewItem,
    Verdict,
)
from chat.models.conversation import WITH
from tests.support import eventually

RUDE = "I will kill you, you worthless piece of shit."


async def rule(direction: str, action: str, category: str = "", **fields: Any) -> None:
    await in_database(
        PolicyRule.objects.create, direction=direction, action=action, category=category, **fields
    )


async def terms(*words: str, direction: str = "", category: str = "codename") -> None:
    await in_database(
        ModerationRule.objects.create,
        name=uuid.uuid4().hex,
        kind="term",
        pattern="\n".join(words),
        category=category,
        direction=direction,
    )


def _of(conversation: uuid.UUID, role: str) -> dict[str, tuple[str, str]]:
    rows = Verdict.objects.filter(message__conversation=conversation, message__role=role)
    return {row.backend: (row.state, row.action) for row in rows}


async def settled(conversation: uuid.UUID, role: str = "user") -> dict[str, tuple[str, str]]:
    """The verdicts on what this role said, when none is pending."""

    async def probe() -> dict[str, tuple[str, str]]:
        found = await in_database(_of, conversation, role)
        return {} if "pending" in {state for state, _ in found.values()} else found

    return await eventually(probe)


async def question(conversation: uuid.UUID) -> Message:
    return await in_database(Message.objects.get, conversation=conversation, role="user")


async def item(message_id: int) -> ReviewItem | None:
    return await in_database(ReviewItem.objects.filter(message=message_id).first)


def shown(message_id: int) -> str:
    """As a page has it."""
    message = Message.objects.select_related(*WITH).get(pk=message_id)
    return message_html(message, message.conversation.tree())
