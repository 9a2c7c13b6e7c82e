"""How commands answer: fragments to htmx; a redirect, or the page again, to a browser without."""

from contextlib import suppress
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.forms import BaseForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import escape

from chat import access, tickets
from chat.delivery.frames import Fragment, partial
from chat.models import Conversation
from chat.views import picker
from chat.views.pages import page_context
from chat.views.people import signed_in


def by_htmx(request: HttpRequest) -> bool:
    return bool(request.htmx)  # type: ignore[attr-defined]


def done(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """Accepted: what changed comes by socket."""
    if by_htmx(request):
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    return redirect("conversation", conversation_id)


def said(form: BaseForm) -> str:
    """All that is wrong with a form, in one line."""
    return " ".join(str(error) for errors in form.errors.values() for error in errors)


def alert(target: str, text: str, status: HTTPStatus) -> HttpResponse:
    """A sentence for an alert that the page has; nothing else of it changes."""
    return HttpResponse(partial(Fragment(target, "innerHTML", escape(text))), status=status)


def declined(
    request: HttpRequest, conversation_id: UUID, text: str, status: HTTPStatus
) -> HttpResponse:
    """Say why, beside the composer; what was typed stays where it is."""
    user = signed_in(request)
    ticket = request.POST.get("new", "")
    conversation = access.conversation_if_any(user.pk, conversation_id)
    if conversation is None:
        if not tickets.is_valid(ticket, user.pk, conversation_id):
            raise Http404
        conversation = Conversation(id=conversation_id, owner=user)
    if by_htmx(request):
        return alert("#composer-error", text, status)
    with suppress(Http404):  # it may be the very reason
        picker.choose(conversation, request.POST)
    context = page_context(
        request, conversation, ticket, typed=request.POST.get("text", ""), error=text
    )
    return render(request, "chat/conversation.html", context, status=status)


def dialog(
    request: HttpRequest, template: str, conversation: Conversation, form: Any = None, **more: Any
) -> HttpResponse:
    """A form on its own; on a page of its own for a browser without htmx."""
    context = {"conversation": conversation, "form": form, **more}
    bad = form is not None and form.is_bound
    status = HTTPStatus.UNPROCESSABLE_ENTITY if bad else HTTPStatus.OK
    if by_htmx(request):
        return render(request, template, context, status=status)
    return render(request, "chat/dialog_page.html", {**context, "dialog": template}, status=status)


def closed_dialog(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """An empty dialog, which the page closes."""
    if by_htmx(request):
        return HttpResponse()
    return redirect("conversation", conversation_id)
