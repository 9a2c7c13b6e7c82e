"""The beacon of the page: how long its reader waited from the click to the first text on screen."""

import math
from datetime import timedelta
from http import HTTPStatus
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.utils import timezone
from django.views.decorators.http import require_POST

from chat import access, ledger
from chat.models import Generation, State
from chat.views.people import signed_in

MAX_MS = 600_000.0
NUMBER_CHARS = 24
# The beacon leaves with the first text, so the click is as long ago as it says: the generation was
# made between the two, give or take the network's delays both ways.
SLACK = timedelta(seconds=10)
SOONER_MS = 1_000.0  # than the first fragment was sent; it cannot have been painted before


@require_POST
@login_required
def perceived(request: HttpRequest, conversation_id: UUID, message_id: int) -> HttpResponse:
    """``ms``, once, for a reply in a conversation of the user's own."""
    generation = access.generation_to_time(signed_in(request).pk, conversation_id, message_id)
    waited_ms = _milliseconds(request.POST.get("ms", ""))
    if waited_ms is None:
        return HttpResponseBadRequest()
    if not _is_plausible(generation, waited_ms):
        return HttpResponseBadRequest()
    if not ledger.keep_perceived(generation.pk, waited_ms):
        return HttpResponseBadRequest()
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _is_plausible(generation: Generation, waited_ms: float) -> bool:
    """Something has been written, and the time fits what the server knows of it."""
    if generation.state == State.QUEUED:
        return False
    if waited_ms < (generation.ttft_served_ms or 0) - SOONER_MS:
        return False
    age = timezone.now() - generation.created_at
    return abs(age - timedelta(milliseconds=waited_ms)) <= SLACK


def _milliseconds(text: str) -> float | None:
    """A plausible number of milliseconds, or None."""
    try:
        value = float(text) if len(text) <= NUMBER_CHARS else math.nan
    except ValueError:
        return None
    return value if 0 < value <= MAX_MS else None
