"""The owner's export: every message of every branch, in order, with what is known of it."""

import json
from collections.abc import Iterator
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from chat import access
from chat.delivery import structured
from chat.delivery.page import notice
from chat.models import Conversation, Message, Role, SchemaVerdict, State
from chat.models.conversation import WITH
from chat.record.document import document
from chat.tree import Tree
from chat.views.people import signed_in


@require_safe
@login_required
def as_json(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    conversation = access.conversation_to_read(signed_in(request).pk, conversation_id)
    body = json.dumps(document(conversation, notice), ensure_ascii=False, indent=2)
    return _download(body, "application/json", f"{conversation_id}.json")


@require_safe
@login_required
def as_markdown(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    conversation = access.conversation_to_read(signed_in(request).pk, conversation_id)
    body = "\n".join(_markdown(conversation))
    return _download(body, "text/markdown; charset=utf-8", f"{conversation_id}.md")


@require_safe
@login_required
def answer(request: HttpRequest, conversation_id: UUID, message_id: int) -> HttpResponse:
    """An answer in a form, as JSON. Only one that satisfies its schema."""
    conversation = access.conversation_to_read(signed_in(request).pk, conversation_id)
    message = access.message_to_read(conversation, message_id)
    generation = getattr(message, "generation", None)
    receipt = getattr(generation, "receipt", None)
    if message.withheld_at or receipt is None or receipt.schema_verdict != SchemaVerdict.VALID:
        raise Http404
    body = json.dumps(structured.parse(_answer_in(message)), ensure_ascii=False, indent=2)
    return _download(body, "application/json", f"{conversation_id}-{message_id}.json")


def _markdown(conversation: Conversation) -> Iterator[str]:
    """The branch on screen; then what other branches have instead of it, each message once."""
    tree = conversation.tree()
    messages = {message.pk: message for message in _messages(conversation)}
    yield f"# {conversation}\n"
    for pk in tree.branch:
        yield from _said(messages[pk], tree)
    for run in tree.other_branches():
        yield "---\n"
        yield f"# {_('Another branch')}\n"
        yield f"*{_place(messages.get(messages[run[0]].parent_id or 0))}*\n"
        for pk in run:
            yield from _said(messages[pk], tree)


def _place(parent: Message | None) -> str:
    """Where a branch that is not on screen begins."""
    if parent is None:
        return _("Not on screen: another beginning of the conversation.")
    words = Truncator(" ".join(_shown(parent).split())).chars(60)
    where = {"name": _name(parent), "time": _time(parent), "words": words}
    return _("Not on screen: it follows what %(name)s said at %(time)s, “%(words)s”.") % where


def _said(message: Message, tree: Tree) -> Iterator[str]:
    facts = [_name(message), _time(message)]
    if tree.continues(message.pk):
        facts.append(_("continued"))
    versions = tree.versions(message.pk)
    if len(versions) > 1:
        place = {"number": versions.index(message.pk) + 1, "total": len(versions)}
        facts.append(_("version %(number)s of %(total)s") % place)
    generation = getattr(message, "generation", None)
    if generation is not None and generation.state != State.COMPLETE:
        facts.append(str(generation.get_state_display()).lower())
    if message.withheld_at:
        facts.append(_("withheld"))
    yield f"## {', '.join(facts)}\n"
    yield f"{_shown(message)}\n"


def _name(message: Message) -> str:
    return settings.ASSISTANT_NAME if message.role == Role.ASSISTANT else message.role


def _time(message: Message) -> str:
    return f"{message.created_at:%Y-%m-%d %H:%M} UTC"


def _messages(conversation: Conversation) -> list[Message]:
    rows = conversation.messages.select_related(*WITH)
    return list(rows.order_by("pk"))


def _shown(message: Message) -> str:
    """The text, or nothing of it while it is withheld: an export shows no more than the page."""
    return "" if message.withheld_at else message.text


def _answer_in(message: Message) -> str:
    """The answer: what the reply says after its last tool call."""
    offsets = message.tool_calls.values_list("offset", flat=True)
    return message.text[max(offsets, default=0) :]


def _download(body: str, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(body, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="conversation-{name}"'
    return response
