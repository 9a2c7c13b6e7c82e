"""A transcript: opened for a purpose, and written down before anything of it is shown."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from chat.forms_review import PurposeForm
from chat.models import Conversation, Timeline
from chat.record.holds import is_held
from chat.review import opening, who
from chat.review.listing import next_to_decide
from chat.review.pseudonyms import name_of
from chat.review.transcript import transcript as transcript_of
from chat.views.people import signed_in
from chat.views.review.door import (
    by_post,
    conversation_to_review,
    for_reviewers,
    is_hidden,
    message_to_review,
    to_message,
)


@for_reviewers
@require_safe
def transcript(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """The transcript; or, first, the question what for."""
    conversation = conversation_to_review(conversation_id)
    if not opening.purpose_of(request.session, conversation.pk):
        form = PurposeForm(initial={"at": _at(request.GET.dict())}, label_suffix="")
        return _ask(request, conversation, form)
    return shown(request, conversation, request.GET.dict())


@for_reviewers
@by_post
def purpose(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    conversation = conversation_to_review(conversation_id)
    form = PurposeForm(request.POST, label_suffix="")
    if not form.is_valid():
        return _ask(request, conversation, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    opening.look(signed_in(request), conversation, form.purpose, at=form.cleaned_data["at"])
    opening.remember_purpose(request.session, conversation.pk, form.purpose)
    return to_message(conversation.pk, form.cleaned_data["at"])


@for_reviewers
@require_safe
def news(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """Has anything changed since this revision? So that an open page can say so."""
    conversation = conversation_to_review(conversation_id)
    return JsonResponse({"changed": str(conversation.revision) != request.GET.get("revision")})


@for_reviewers
@by_post
def identity(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """Show who wrote this conversation, to who may know."""
    conversation = conversation_to_review(conversation_id)
    if not settings.REVIEW_ANONYMOUS or not who.may_see_identities(signed_in(request)):
        raise Http404
    if opening.purpose_of(request.session, conversation.pk):
        opening.reveal(request.session, signed_in(request), conversation)
    return redirect("review_transcript", conversation.pk)


@for_reviewers
@require_safe
def timeline(request: HttpRequest, conversation_id: UUID, message_id: int) -> HttpResponse:
    """A reply as it grew: its text, its thoughts, and the moments (see ``Timeline``)."""
    conversation = conversation_to_review(conversation_id)
    message = message_to_review(conversation, message_id)
    given = opening.purpose_of(request.session, conversation.pk)
    if not given:
        return to_message(conversation.pk, message.pk)
    found = get_object_or_404(Timeline, generation__message=message)
    opening.look(signed_in(request), conversation, given, replay=message.pk)
    return JsonResponse(
        {"text": message.text, "reasoning": message.reasoning, "points": found.points}
    )


def shown(
    request: HttpRequest,
    conversation: Conversation,
    wanted: dict[str, str],
    status: HTTPStatus = HTTPStatus.OK,
    **more: Any,
) -> HttpResponse:
    """The page, of a conversation that a purpose was given for."""
    reviewer = signed_in(request)
    given = opening.purpose_of(request.session, conversation.pk)
    opening.look(reviewer, conversation, given, page=wanted.get("page", "1"), at=wanted.get("at"))
    hidden = is_hidden(request, conversation)
    name = name_of(conversation.owner, hidden=hidden)
    found = transcript_of(conversation, wanted, owner_name=name)
    at = next((e.message for e in found.entries if e.message.pk == _at(wanted)), None)
    context = {
        "conversation": conversation,
        "transcript": found,
        "here": reverse("review_transcript", args=[conversation.pk]),
        "at": at,
        "name": name,
        "hidden": hidden,
        "may_hold": who.granted(reviewer, who.HOLD),
        "may_reveal": hidden and who.may_see_identities(reviewer),
        "purpose": given,
        "reviewers": list(who.reviewers()),
        "own": conversation.owner_id == reviewer.pk,
        "held": is_held(conversation),
        "waits": next_to_decide(reviewer, "open", {}, at, hidden=hidden) is not None,
        "two_person": settings.REVIEW_TWO_PERSON,
        **more,
    }
    return render(request, "review/transcript.html", context, status=status)


def _at(wanted: dict[str, str]) -> int | None:
    given = wanted.get("at", "")
    return int(given) if opening.NUMBER.fullmatch(given) else None


def _ask(
    request: HttpRequest,
    conversation: Conversation,
    form: PurposeForm,
    status: HTTPStatus = HTTPStatus.OK,
) -> HttpResponse:
    hidden = is_hidden(request, conversation)
    context = {
        "conversation": conversation,
        "form": form,
        "name": name_of(conversation.owner, hidden=hidden),
        "messages_count": conversation.messages.count(),
    }
    return render(request, "review/purpose.html", context, status=status)
