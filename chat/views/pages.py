"""The page: a new conversation, or one that is there."""

import uuid
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat import access, tickets
from chat.delivery.page import conversations_of, list_html, message_html, status_of
from chat.models import Conversation, User
from chat.review.listing import to_decide
from chat.review.who import may_review
from chat.views import picker
from chat.views.people import signed_in


@require_safe
@login_required
@never_cache
def home(request: HttpRequest) -> HttpResponse:
    """A conversation that is not written yet: its id is on the page, its row is not made."""
    user = signed_in(request)
    conversation = Conversation(id=uuid.uuid4(), owner=user)
    picker.choose(conversation, request.GET)
    ticket = tickets.issue(user.pk, conversation.id)
    return render(request, "chat/conversation.html", page_context(request, conversation, ticket))


@require_safe
@login_required
@never_cache
def conversation(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    found = access.conversation_to_read(signed_in(request).pk, conversation_id)
    picker.choose(found, request.GET)
    return render(request, "chat/conversation.html", page_context(request, found))


def page_context(
    request: HttpRequest, conversation: Conversation, ticket: str = "", **more: Any
) -> dict[str, Any]:
    tree = conversation.tree()
    branch = conversation.branch(tree)
    shown = "".join(message_html(message, tree) for message in branch)
    socket = reverse("socket", args=[conversation.pk])
    # The revision of the rows that the page shows: what comes later comes through the socket.
    query = f"after={conversation.revision}" + (f"&new={ticket}" if ticket else "")
    return {
        "conversation": conversation,
        "ticket": ticket,
        "socket": f"{socket}?{query}",
        "events": reverse("events", args=[conversation.pk]) + (f"?new={ticket}" if ticket else ""),
        "key": uuid.uuid4().hex,
        "messages_html": mark_safe(shown),  # noqa: S308
        "empty": not branch,
        "status": mark_safe(status_of(branch).content),  # noqa: S308
        "conversations_html": list_html(conversations_of(signed_in(request).pk), conversation.pk),
        "to_review": _to_review(signed_in(request)),
        **picker.context(conversation, new=bool(ticket)),
        **more,
    }


def _to_review(user: User) -> int | None:
    """How many messages wait for a decision; None for those who are no reviewers."""
    return to_decide() if may_review(user) else None
