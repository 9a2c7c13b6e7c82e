"""Assignment and decisions."""

from collections.abc import Callable
from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from chat import services
from chat.forms_review import AnswerForm, DecisionForm
from chat.models import Conversation, DecisionKind, ReviewDecision, ReviewItem, User
from chat.review import assignment, decisions, opening
from chat.review.decisions import Refused, in_words
from chat.views.answers import by_htmx, said
from chat.views.people import signed_in
from chat.views.review.door import (
    by_post,
    conversation_to_review,
    for_reviewers,
    is_hidden,
    message_to_review,
    to_message,
)
from chat.views.review.transcript import shown


@for_reviewers
@by_post
def decide(request: HttpRequest, conversation_id: UUID, message_id: int) -> HttpResponse:
    form = DecisionForm(request.POST)

    def act() -> ReviewDecision:
        if not form.is_valid():
            raise Refused(said(form))
        return decisions.decide(
            signed_in(request),
            message_id,
            DecisionKind(form.cleaned_data["kind"]),
            form.cleaned_data["note"],
            passages=form.cleaned_data["passages"],
            words=form.cleaned_data["words"],
            seen=form.cleaned_data["seen"],
        )

    return _decided(request, conversation_id, message_id, act)


@for_reviewers
@by_post
def answer(request: HttpRequest, conversation_id: UUID, message_id: int) -> HttpResponse:
    """Confirm or decline what another reviewer proposed."""
    form = AnswerForm(request.POST)

    def act() -> ReviewDecision:
        if not form.is_valid():
            raise Refused(said(form))
        agrees = form.cleaned_data["answer"] == "confirm"
        reply = decisions.confirm if agrees else decisions.decline
        note, seen = form.cleaned_data["note"], form.cleaned_data["seen"]
        return reply(signed_in(request), message_id, note, seen=seen)

    return _decided(request, conversation_id, message_id, act)


@for_reviewers
@by_post
def assign(request: HttpRequest, conversation_id: UUID, message_id: int) -> HttpResponse:
    """``to`` is "me", "nobody" or a reviewer's id."""
    conversation = conversation_to_review(conversation_id)
    item = getattr(message_to_review(conversation, message_id), "review", None)
    if item is None:
        raise Http404
    try:
        if request.POST.get("to") == "me":
            _take(request, item)
        else:
            _give(request, conversation, item)
    except assignment.NotAReviewer:
        raise Http404 from None
    except assignment.OwnConversation:
        messages.error(request, _("Nobody reviews a conversation of his own."))
    except assignment.Gone:
        messages.error(request, _("This has left the queue: nothing is held against it any more."))
    if by_htmx(request):
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    return _back(request, conversation, message_id)


def _take(request: HttpRequest, item: ReviewItem) -> None:
    if assignment.take(item, signed_in(request)):
        return
    item.refresh_from_db()
    if item.assignee is not None and item.assignee != request.user:
        name = item.assignee.get_username()
        messages.error(request, _("%(name)s has taken this already.") % {"name": name})


def _give(request: HttpRequest, conversation: Conversation, item: ReviewItem) -> None:
    to = request.POST.get("to", "")
    person = None if to == "nobody" else _person(to)
    assignment.assign(item, person, hidden=is_hidden(request, conversation))


def _person(given: str) -> User:
    if not (given.isascii() and given.isdecimal() and len(given) <= 18):
        raise Http404
    found = User.objects.filter(pk=int(given)).first()
    if found is None:
        raise Http404
    return found


def _back(request: HttpRequest, conversation: Conversation, message_id: int) -> HttpResponse:
    url = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(url, {request.get_host()}, request.is_secure())
    if is_ours and url.startswith("/"):  # else redirect() takes it for the name of a page
        return redirect(url)
    return to_message(conversation.pk, message_id)


def _decided(
    request: HttpRequest,
    conversation_id: UUID,
    message_id: int,
    act: Callable[[], ReviewDecision],
) -> HttpResponse:
    """Who has not said what for has not read it, and decides nothing."""
    conversation = conversation_to_review(conversation_id)
    message_to_review(conversation, message_id)
    if not opening.purpose_of(request.session, conversation.pk):
        return to_message(conversation.pk, message_id)
    try:
        decision = act()
    except Refused as refused:
        return shown(
            request,
            conversation,
            {"at": str(message_id)},
            HTTPStatus.CONFLICT,
            refused=str(refused),
            refused_at=message_id,
            typed=request.POST.get("note", ""),
            typed_passages=request.POST.get("passages", ""),
            typed_words=request.POST.get("words", ""),
            typed_redaction=request.POST.get("kind") == DecisionKind.REDACT,
        )
    text = _("Message #%(id)s: %(what)s.") % {"id": message_id, "what": in_words(decision)}
    messages.success(request, text)
    if decision.kind == DecisionKind.REDACT and decision.took_effect:
        _redacted(request, decision)
    return to_message(conversation.pk, message_id)


def _redacted(request: HttpRequest, decision: ReviewDecision) -> None:
    generation = getattr(decision.item.message, "generation", None)
    if generation is not None:
        services.erase_log(generation.pk)
    if decision.repeated_in:
        others = ", ".join(f"#{pk}" for pk in decision.repeated_in)
        words = _("The same stands in %(others)s, which wait for decisions of their own.")
        messages.warning(request, words % {"others": others})
