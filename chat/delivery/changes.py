"""What is newer in a conversation than a cursor, as fragments. Synchronous: see chat.database."""

from collections.abc import Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import Http404
from django.template.loader import render_to_string

from chat import access
from chat.delivery.frames import Fragment
from chat.delivery.page import (
    conversations_of,
    ended_status,
    list_html,
    message_context,
    message_html,
    status_of,
)
from chat.models import Conversation, Message
from chat.models.conversation import WITH
from chat.tree import Tree


@dataclass(frozen=True, slots=True)
class Running:
    """A reply that is being written: which log to follow."""

    generation_id: int
    message_id: int
    accepted_at: datetime
    schema: dict[str, Any] | None = None  # of an answer in a form


@dataclass(slots=True)
class Changes:
    """What a page has to be told.

    ``gone``: the conversation may no longer be read, or does not exist yet when ``missing``.
    ``whole``: the fragments replace the whole transcript. ``settled``: messages whose reply has
    ended. ``replaced``: messages of which the fragments have all there is now, instead of what the
    page had followed; with ``whole`` that is true of each.
    """

    cursor: int
    fragments: list[Fragment] = field(default_factory=list)
    running: Running | None = None
    settled: set[int] = field(default_factory=set)
    replaced: set[int] = field(default_factory=set)
    whole: bool = False
    gone: bool = False
    missing: bool = False


def load(
    user_id: int, conversation_id: UUID, cursor: int, followed: Set[int], *, opening: bool = False
) -> Changes:
    """All that changed after ``cursor``.

    ``followed`` names the messages that this page has had live to their end: their text is on
    screen and only what surrounds it is sent. A page that is ``opening`` is told which reply is
    being written also when nothing is newer: it may have been loaded in the middle of it.
    """
    try:
        conversation = access.conversation_if_any(user_id, conversation_id)
    except Http404:
        return Changes(cursor, gone=True)
    if conversation is None:
        return Changes(cursor, gone=True, missing=True)
    changes = Changes(conversation.revision)
    if cursor < conversation.branch_revision or cursor > conversation.revision:
        _whole(conversation, changes)
    elif cursor < conversation.revision:
        _newer(conversation, cursor, followed, changes)
    if opening and changes.running is None:
        _note_head(conversation, changes)
    return changes


def _whole(conversation: Conversation, changes: Changes) -> None:
    changes.whole = True
    tree = conversation.tree()
    branch = conversation.branch(tree)
    content = "".join(message_html(message, tree) for message in branch)
    changes.fragments += [Fragment("#messages", "innerHTML", content), status_of(branch)]
    for message in branch:
        _note(message, changes)


def _newer(conversation: Conversation, cursor: int, followed: Set[int], changes: Changes) -> None:
    rows = conversation.messages.filter(revision__gt=cursor).order_by("pk")
    newer = list(rows.select_related(*WITH).prefetch_related("feedback"))
    if not newer:
        return
    tree = conversation.tree()
    for message in newer:
        if message.pk not in tree:
            continue  # a verdict on a version that is not on screen, say
        target = f"#message-{message.pk}"
        if message.created_revision > cursor:
            # The page may have it already, if its cursor is older than what it shows: then it is
            # taken out first, and as everything newer follows in order, the order stays right.
            changes.fragments += [
                Fragment(target, "delete", ""),
                Fragment("#messages", "beforeend", message_html(message, tree)),
            ]
        elif message.pk in followed and message.withheld_at is None and not _is_decided(message):
            changes.fragments += _surroundings(message, tree)
        else:
            changes.replaced.add(message.pk)
            changes.fragments.append(Fragment(target, "outerHTML", message_html(message, tree)))
        _note(message, changes)
        if message.pk in changes.settled and message.pk == conversation.head_id:
            changes.fragments.append(ended_status(message.generation))


def _is_decided(message: Message) -> bool:
    """After a decision the text on screen is an older one, or a notice."""
    item = getattr(message, "review", None)
    return item is not None and bool(item.outcome)


def _surroundings(message: Message, tree: Tree) -> list[Fragment]:
    foot = render_to_string("chat/_message_foot.html", message_context(message, tree))
    return [Fragment(f"#foot-{message.pk}", "outerHTML", foot)]


def _note(message: Message, changes: Changes) -> None:
    generation = getattr(message, "generation", None)
    if generation is None:
        return
    if generation.is_active:
        changes.running = Running(
            generation.pk, message.pk, generation.created_at, generation.schema
        )
    else:
        changes.settled.add(message.pk)


def _note_head(conversation: Conversation, changes: Changes) -> None:
    messages = conversation.messages.select_related("generation__assistant")
    for message in messages.filter(pk=conversation.head_id or 0):
        _note(message, changes)


def load_list(user_id: int, conversation_id: UUID) -> list[Fragment]:
    """The sidebar's list, and the title of the page's own conversation."""
    listed = conversations_of(user_id)
    content = list_html(listed, conversation_id)
    fragments = [Fragment("#conversations", "innerMorph", content)]
    for conversation in listed:
        if conversation.pk == conversation_id:
            heading = render_to_string("chat/_title.html", {"title": conversation.shown_title})
            fragments.append(Fragment("#title", "innerHTML", heading))
    return fragments
