"""The commands under a message: edit, regenerate, continue, show another version."""

import uuid
from collections.abc import Callable
from http import HTTPStatus
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from chat import access, branches, services
from chat.access import is_removed
from chat.actions import Rejected
from chat.forms import EditForm
from chat.models import Message, Role
from chat.views.answers import alert, by_htmx, declined, dialog, done, said
from chat.views.people import signed_in


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def edit(request: HttpRequest, conversation_id: UUID, message_id: int) -> HttpResponse:
    """The form that takes the place of a user's message, and what it saves as a new version."""
    user = signed_in(request)
    conversation = access.conversation_to_write(user.pk, conversation_id)
    message = access.message_to_write(conversation, message_id)
    if message.role != Role.USER or is_removed(message):
        raise Http404
    if request.method != "POST":
        # What is withheld is withheld from its author too.
        typed = "" if message.withheld_at is not None else message.text
        context = {"message": message, "typed": typed, "key": uuid.uuid4().hex}
        return dialog(request, "chat/_edit.html", conversation, **context)
    form = EditForm(request.POST)
    if not services.takes_replies():
        text = _("The server is restarting. Your message is still here; send it in a moment.")
        return _not_saved(request, message, text, HTTPStatus.SERVICE_UNAVAILABLE)
    if not form.is_valid():
        return _not_saved(request, message, said(form), HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        branches.edit(
            user,
            conversation_id,
            message_id,
            form.cleaned_data["text"],
            form.cleaned_data["key"],
            _request_id(request),
        )
    except Rejected as rejected:
        return _not_saved(request, message, str(rejected), HTTPStatus.CONFLICT)
    return done(request, conversation_id)


@require_POST
@login_required
def regenerate(request: HttpRequest, conversation_id: UUID, message_id: int) -> HttpResponse:
    return _command(
        request,
        conversation_id,
        lambda: branches.regenerate(
            signed_in(request), conversation_id, message_id, _request_id(request)
        ),
    )


@require_POST
@login_required
def continue_reply(request: HttpRequest, conversation_id: UUID, message_id: int) -> HttpResponse:
    return _command(
        request,
        conversation_id,
        lambda: branches.continue_reply(
            signed_in(request), conversation_id, message_id, _request_id(request)
        ),
    )


@require_POST
@login_required
def show(request: HttpRequest, conversation_id: UUID, message_id: int) -> HttpResponse:
    return _command(
        request,
        conversation_id,
        lambda: branches.show(signed_in(request), conversation_id, message_id),
    )


def _command(request: HttpRequest, conversation_id: UUID, act: Callable[[], None]) -> HttpResponse:
    if not services.takes_replies():
        text = _("The server is restarting. Try again in a moment.")
        return declined(request, conversation_id, text, HTTPStatus.SERVICE_UNAVAILABLE)
    try:
        act()
    except Rejected as rejected:
        return declined(request, conversation_id, str(rejected), HTTPStatus.CONFLICT)
    return done(request, conversation_id)


def _not_saved(
    request: HttpRequest, message: Message, text: str, status: HTTPStatus
) -> HttpResponse:
    """Say why, in the form; a page of its own has what was typed in it again."""
    if by_htmx(request):
        return alert(f"#edit-error-{message.pk}", text, status)
    context = {
        "dialog": "chat/_edit.html",
        "conversation": message.conversation,
        "message": message,
        "typed": request.POST.get("text", ""),
        "key": request.POST.get("key", ""),
        "error": text,
    }
    return render(request, "chat/dialog_page.html", context, status=status)


def _request_id(request: HttpRequest) -> str:
    return getattr(request, "request_id", "")
