"""The assistant of a conversation: chosen before the first message, named in the head after it."""

from typing import Any

from django.http import Http404, QueryDict
from django.urls import reverse

from chat import access, assistants
from chat.models import Conversation

# A menu is read from top to bottom; the page of assistants has all of them.
LISTED = 30
ID_DIGITS = 18  # more do not fit into the database's integers


def choose(conversation: Conversation, given: QueryDict) -> None:
    """Take the assistant that an address or a form names, while nothing has been said.

    An empty name is the choice of none. The conversation is not saved.

    Raises:
        Http404: the owner may not use it.
    """
    wanted = given.get("assistant")
    if wanted is None or conversation.head_id is not None:
        return
    conversation.assistant = None
    if wanted:
        if not (wanted.isascii() and wanted.isdecimal() and len(wanted) <= ID_DIGITS):
            raise Http404
        conversation.assistant = access.assistant_to_use(conversation.owner_id, int(wanted))


def context(conversation: Conversation, *, new: bool) -> dict[str, Any]:
    """What the page's head, greeting and composer need to know of it."""
    found: dict[str, Any] = {}
    if conversation.head_id is None:
        choices = list(access.assistants_to_use(conversation.owner_id)[: LISTED + 1])
        found = {
            "choices": choices[:LISTED],
            "more_choices": len(choices) > LISTED,
            "picked_at": reverse("home")
            if new
            else reverse("conversation", args=[conversation.pk]),
        }
    version = assistants.version_for(conversation)
    if version is None:
        return found
    # Of an assistant that is not his to see any more, the owner sees what has answered him.
    visible = assistants.is_visible(conversation)
    page = ("assistant", [version.assistant_id])
    of_version = ("assistant_version", [version.assistant_id, version.number])
    name, args = page if visible else of_version
    return {**found, "assistant": version, "assistant_url": reverse(name, args=args)}
