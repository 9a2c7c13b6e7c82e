"""The user's word on a tool call that waits for it."""

from http import HTTPStatus
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from chat import actions
from chat.models import Decision
from chat.views.answers import declined, done
from chat.views.people import signed_in

DECISIONS = {"approve": Decision.APPROVED, "deny": Decision.DENIED}


@require_POST
@login_required
def decide(
    request: HttpRequest, conversation_id: UUID, message_id: int, number: int, decision: str
) -> HttpResponse:
    """Approve or deny; what becomes of it comes by socket."""
    if decision not in DECISIONS:
        raise Http404
    user = signed_in(request)
    if not actions.decide(user, conversation_id, message_id, number, DECISIONS[decision]):
        text = _("This call does not wait for you any more.")
        return declined(request, conversation_id, text, HTTPStatus.CONFLICT)
    return done(request, conversation_id)
