"""What a reader says of a reply: good, bad, or a report to the reviewers."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from chat import opinions
from chat.forms_review import ReportForm
from chat.models import Complaint, Opinion, ReviewState
from chat.views.answers import closed_dialog, dialog, done
from chat.views.people import signed_in


@require_POST
@login_required
def feedback(
    request: HttpRequest, conversation_id: UUID, message_id: int, opinion: str
) -> HttpResponse:
    """Good or bad; the same again takes it back. The button changes by socket."""
    if opinion not in Opinion:
        raise Http404
    opinions.judge(signed_in(request), conversation_id, message_id, Opinion(opinion))
    return done(request, conversation_id)


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def report(request: HttpRequest, conversation_id: UUID, message_id: int) -> HttpResponse:
    """The form; or what was reported before."""
    user = signed_in(request)
    message, before = opinions.report_of(user, conversation_id, message_id)
    form = ReportForm(request.POST or None, label_suffix="")
    if before is None and form.is_valid():
        complaint = Complaint(form.cleaned_data["complaint"])
        note = form.cleaned_data["note"]
        opinions.report(user, conversation_id, message_id, complaint, note)
        return closed_dialog(request, conversation_id)
    item = getattr(message, "review", None)
    return dialog(
        request,
        "chat/_dialog_report.html",
        message.conversation,
        None if before is not None else form,
        message=message,
        report=before,
        reviewed=item is not None and item.state == ReviewState.CLOSED,
    )
