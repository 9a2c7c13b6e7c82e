"""Taking transcripts out, and holding them: the reviewers' exports and legal holds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from chat.forms_custody import ExportForm, HoldForm
from chat.models import Conversation, LegalHold, User
from chat.record import export, holds
from chat.review import who
from chat.review.pseudonyms import name_of
from chat.views.people import signed_in
from chat.views.review.door import for_reviewers, is_hidden

View = Callable[..., HttpResponseBase]

RELEASED = 50  # of the holds that were released, the newest


def _granted(codename: str) -> Callable[[View], View]:
    """For reviewers who have been given this permission, too."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not who.granted(signed_in(request), codename):
                raise Http404
            return view(request, *args, **kwargs)

        return guarded

    return decorate


@dataclass(frozen=True, slots=True)
class _Row:
    """A hold as the page lists it: whose name is on it is not always shown."""

    hold: LegalHold
    name: str

    @classmethod
    def of(cls, hold: LegalHold, *, hidden: bool) -> "_Row":
        owner = hold.user or (hold.conversation.owner if hold.conversation else None)
        return cls(hold, name_of(owner, hidden=hidden) if owner else "")


@for_reviewers
@_granted(who.EXPORT)
@require_http_methods(["GET", "HEAD", "POST"])
def export_transcripts(request: HttpRequest) -> HttpResponseBase:
    """The form; a good one is answered by the archive, which is made while it is sent."""
    user = signed_in(request)
    hidden = is_hidden(request)
    form = ExportForm(request.POST if request.method == "POST" else None, hidden=hidden)
    if not form.is_valid():
        status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
        context = {"form": form, "hidden": hidden}
        return render(request, "review/export.html", context, status=status)
    ordered = export.order(user, form.selection(), form.cleaned_data["purpose"], anonymous=hidden)
    pieces = export.for_review(ordered, partial(name_of, hidden=hidden), _may_export)
    response = StreamingHttpResponse(pieces, content_type="application/zip")
    name = f"transcripts-{timezone.localdate().isoformat()}-{ordered.entry.number}"
    response["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    response["X-Accel-Buffering"] = "no"
    return response


def _may_export(user: User) -> bool:
    return who.may_review(user) and who.granted(user, who.EXPORT)


@for_reviewers
@_granted(who.HOLD)
@require_http_methods(["GET", "HEAD", "POST"])
def legal_holds(request: HttpRequest) -> HttpResponse:
    """What is held, and a form to hold more."""
    user = signed_in(request)
    hidden = is_hidden(request)
    form = HoldForm(
        request.POST if request.method == "POST" else None,
        initial={"conversation": request.GET.get("conversation", "")},
        hidden=hidden,
    )
    if form.is_valid():
        try:
            holds.place(user, form.cleaned_data["reason"], on=form.held)
        except Conversation.DoesNotExist:
            raise Http404 from None  # purged since the form was looked at
        messages.success(request, _("The hold is placed."))
        return redirect("legal_holds")
    rows = LegalHold.objects.select_related("user", "conversation__owner", "placed_by")
    context = {
        "form": form,
        "held": [_Row.of(hold, hidden=hidden) for hold in rows.filter(released_at=None)],
        "released": [
            _Row.of(hold, hidden=hidden) for hold in rows.exclude(released_at=None)[:RELEASED]
        ],
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, "review/holds.html", context, status=status)


@for_reviewers
@_granted(who.HOLD)
@require_POST
def release_hold(request: HttpRequest, hold_id: int) -> HttpResponse:
    hold = LegalHold.objects.filter(pk=hold_id).first()
    if hold is None:
        raise Http404
    if holds.release(signed_in(request), hold):
        messages.success(request, _("The hold is released."))
    else:
        messages.info(request, _("Somebody else has released it already."))
    return redirect("legal_holds")
