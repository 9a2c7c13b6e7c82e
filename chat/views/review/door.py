"""Who gets in, and who is hidden from whom."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache

from chat.models import Conversation, Message
from chat.review import opening, who
from chat.views.people import signed_in

View = Callable[..., HttpResponseBase]


def for_reviewers(view: View) -> View:
    """To everybody else who is signed in there is nothing here, whatever the method."""

    @never_cache
    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not who.may_review(signed_in(request)):
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


def by_post(view: View) -> View:
    """A command on a conversation. Its address is shown when it was refused, and after a sign-in:
    who asks for it again is led to the transcript.
    """

    @wraps(view)
    def guarded(
        request: HttpRequest, conversation_id: UUID, message_id: int | None = None
    ) -> HttpResponseBase:
        if request.method != "POST":
            return to_message(conversation_id, message_id)
        given = (conversation_id,) if message_id is None else (conversation_id, message_id)
        return view(request, *given)

    return guarded


def to_message(conversation_id: UUID, message_id: int | None) -> HttpResponse:
    url = reverse("review_transcript", args=[conversation_id])
    return redirect(f"{url}?at={message_id}#message-{message_id}" if message_id else url)


def conversation_to_review(conversation_id: UUID) -> Conversation:
    """Anybody's, deleted or not, from a page or through the API."""
    rows = Conversation.objects.select_related("owner", "assistant__newest", "api_key")
    return get_object_or_404(rows, pk=conversation_id)


def message_to_review(conversation: Conversation, message_id: int) -> Message:
    return get_object_or_404(conversation.messages.select_related("review"), pk=message_id)


def is_hidden(request: HttpRequest, conversation: Conversation | None = None) -> bool:
    """Is it hidden from this reviewer who wrote; in this conversation, or at all?"""
    if not settings.REVIEW_ANONYMOUS:
        return False
    if conversation is None or not opening.is_revealed(request.session, conversation.pk):
        return True
    return not who.may_see_identities(signed_in(request))
