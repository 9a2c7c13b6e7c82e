"""The commands of the page: send, stop, rename, delete, settings."""

import uuid
from http import HTTPStatus
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from chat import access, actions, services, tickets
from chat.actions import Rejected
from chat.forms import RenameForm, SendForm, SettingsForm
from chat.models import Conversation
from chat.record import policy
from chat.views import picker
from chat.views.answers import by_htmx, closed_dialog, declined, dialog, done, said
from chat.views.people import signed_in


@require_POST
@login_required
def send(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """Accept a message: answers with a fresh key; the message itself comes by socket."""
    user = signed_in(request)
    form = SendForm(request.POST)
    may_create = tickets.is_valid(request.POST.get("new", ""), user.pk, conversation_id)
    if not services.takes_replies():
        text = _("The server is restarting. Your message is still here; send it in a moment.")
        return declined(request, conversation_id, text, HTTPStatus.SERVICE_UNAVAILABLE)
    if not form.is_valid():
        return declined(request, conversation_id, said(form), HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        actions.send(
            user,
            conversation_id,
            form.cleaned_data["text"],
            form.cleaned_data["key"],
            may_create=may_create,
            request_id=getattr(request, "request_id", ""),
            assistant_id=form.cleaned_data["assistant"],
        )
    except Rejected as rejected:
        return declined(request, conversation_id, str(rejected), HTTPStatus.CONFLICT)
    if not by_htmx(request):
        return redirect("conversation", conversation_id)
    return render(request, "chat/_composer_key.html", {"key": uuid.uuid4().hex})


@require_POST
@login_required
def stop(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    actions.stop(signed_in(request), conversation_id)
    return done(request, conversation_id)


@require_http_methods(["GET", "POST"])
@login_required
def rename(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    conversation = access.conversation_to_write(signed_in(request).pk, conversation_id)
    form = RenameForm(request.POST or None, initial={"title": conversation.title}, label_suffix="")
    if form.is_valid():
        actions.rename(signed_in(request), conversation_id, form.cleaned_data["title"])
        return closed_dialog(request, conversation_id)
    return dialog(request, "chat/_dialog_rename.html", conversation, form)


@require_http_methods(["GET", "POST"])
@login_required
def delete(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    conversation = access.conversation_to_write(signed_in(request).pk, conversation_id)
    if request.method == "POST":
        actions.delete(signed_in(request), conversation_id)
        if not by_htmx(request):
            return redirect("home")
        response = HttpResponse()
        # The page of the deleted conversation has nothing left to show; any other one stays.
        if str(conversation_id) in request.headers.get("HX-Current-URL", ""):
            response["HX-Redirect"] = "/"
        return response
    what = policy.of_deletion()
    return dialog(request, "chat/_dialog_delete.html", conversation, policy=what)


@require_http_methods(["GET", "POST"])
@login_required
def parameters(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """Model, temperature, top p and max tokens, also of a conversation that is not written yet."""
    try:
        return _parameters(request, conversation_id)
    except IntegrityError:
        return _parameters(request, conversation_id)  # another tab has just written it


def _parameters(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    user = signed_in(request)
    ticket = request.GET.get("new") or request.POST.get("new") or ""
    with transaction.atomic():
        conversation = access.conversation_if_any(user.pk, conversation_id)
        if conversation is None:
            if not tickets.is_valid(ticket, user.pk, conversation_id):
                raise Http404
            conversation = Conversation(id=conversation_id, owner=user, active_at=timezone.now())
            picker.choose(conversation, request.POST or request.GET)
        form = SettingsForm(request.POST or None, instance=conversation)
        if form.is_valid():
            form.save()
            return closed_dialog(request, conversation_id)
    return dialog(request, "chat/_dialog_settings.html", conversation, form, ticket=ticket)
