"""What a person does to assistants: one function, one transaction.

A version is never changed. Saving makes a new one, and only when something is different; who sees
an assistant belongs to the assistant, not to its versions. Nothing is deleted: transcripts refer
to the version that they ran with.
"""

import json
from collections.abc import Iterable

from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from chat import access, instructions, policy, services
from chat.engine.provider import Provider
from chat.models import Assistant, AssistantVersion, Conversation, User, Visibility
from chat.models.parameters import NAMES
from chat.policy import Current

# What a version says: all that two versions can differ in.
CONTENT = (
    "name",
    "description",
    "instructions",
    "model",
    *NAMES,
    "tools",
    "approvals",
    "tool_choice",
    "response_schema",
)


def create(
    user: User, content: AssistantVersion, visibility: str, groups: Iterable[Group] = ()
) -> Assistant:
    """A new assistant with its first version. ``content`` has not been saved."""
    with transaction.atomic():
        assistant = Assistant.objects.create(owner=user, visibility=visibility)
        _show_to(assistant, visibility, groups)
        _add_version(assistant, content, user, 1)
    return assistant


def save(
    user: User,
    assistant_id: int,
    content: AssistantVersion,
    visibility: str,
    groups: Iterable[Group] = (),
) -> Assistant:
    """Show the assistant to these, and make a new version if the content is a different one.

    Raises:
        Http404: no such assistant of this user.
    """
    with transaction.atomic():
        assistant = access.assistant_to_write(user.pk, assistant_id)
        _show_to(assistant, visibility, groups)
        newest = assistant.newest
        if newest is None or changed(newest, content):
            _add_version(assistant, content, user, newest.number + 1 if newest else 1)
    return assistant


def is_refused(text: str) -> bool:
    """Does the policy keep this from every model? Who saves a form waits for it."""
    return bool(text) and bool(async_to_sync(_is_refused)(text, policy.current()))


async def _is_refused(text: str, current: Current) -> bool:
    provider = Provider(services.endpoint)
    try:
        return bool(await instructions.is_refused(text, current, provider))
    finally:
        await provider.close()


def archive(user: User, assistant_id: int) -> None:
    """Nobody finds it any more. Conversations that began with it go on: see ``version_for``."""
    with transaction.atomic():
        assistant = access.assistant_to_write(user.pk, assistant_id)
        assistant.archived_at = timezone.now()
        assistant.save(update_fields=["archived_at"])


def changed(old: AssistantVersion, new: AssistantVersion) -> list[str]:
    """The names of the fields in which two versions differ."""
    return [
        # As JSON, because Python takes 1 and True for the same.
        name
        for name in CONTENT
        if json.dumps(getattr(old, name)) != json.dumps(getattr(new, name))
    ]


def version_for(conversation: Conversation) -> AssistantVersion | None:
    """The version that the next reply of a conversation runs with.

    The newest, while the assistant is visible to the conversation's owner. After that the one of
    the last reply: the conversation goes on as it was, and shows nothing that is not for its owner.
    """
    assistant = conversation.assistant
    if assistant is None:
        return None
    if is_visible(conversation):
        return assistant.newest
    replies = conversation.generations.filter(assistant__assistant=assistant)
    last = replies.select_related("assistant").order_by("-pk").first()
    return last.assistant if last else None


def is_visible(conversation: Conversation) -> bool:
    """May the conversation's owner still use its assistant?"""
    visible = access.assistants_to_use(conversation.owner_id)
    chosen = conversation.assistant_id
    return chosen is not None and visible.filter(pk=chosen).exists()


def _show_to(assistant: Assistant, visibility: str, groups: Iterable[Group]) -> None:
    assistant.visibility = visibility
    assistant.save(update_fields=["visibility"])
    assistant.groups.set(groups if visibility == Visibility.GROUPS else [])


def _add_version(assistant: Assistant, content: AssistantVersion, user: User, number: int) -> None:
    version = AssistantVersion(
        assistant=assistant,
        number=number,
        made_by=user,
        **{name: getattr(content, name) for name in CONTENT},
    )
    version.save(force_insert=True)
    assistant.newest = version
    assistant.save(update_fields=["newest"])
