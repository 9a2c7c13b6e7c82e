"""Invitations: a link that lets one person sign up while ``SIGNUP=invite``.

The link carries the signed number of its row, so the table holds nothing that opens the door;
whether the invitation still stands is the row's to say.

Unusable
    The invitation was used meanwhile, has expired, was withdrawn, or was never made.
"""

from datetime import datetime, timedelta

from django.core.signing import BadSignature, Signer
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from chat.models import Invitation, User

LIFETIME = timedelta(days=7)
PARAMETER = "invite"

_signer = Signer(salt="chat.accounts.invitations")


class Unusable(Exception):
    """This invitation lets nobody in (any more)."""


def default_expiry() -> datetime:
    return timezone.now() + LIFETIME


def token(invitation: Invitation) -> str:
    return _signer.sign(str(invitation.pk))


def link(request: HttpRequest, invitation: Invitation) -> str:
    """The address to hand to the invited person, on the host that the request came to."""
    query = urlencode({PARAMETER: token(invitation)})
    return request.build_absolute_uri(f"{reverse('account_signup')}?{query}")


def given(request: HttpRequest) -> str:
    """The token that came with the request: in the link, then in the form."""
    return request.POST.get(PARAMETER) or request.GET.get(PARAMETER) or ""


def stands(given_token: str) -> bool:
    """Would this token let somebody in now?"""
    number = _number(given_token)
    return number is not None and _standing(number).exists()


def use(given_token: str, user: User) -> None:
    """Mark the invitation as used by this user.

    One conditional UPDATE decides between two who use it at once; call it in the transaction that
    creates the user, so that the loser's account goes with it.

    Raises:
        Unusable
    """
    number = _number(given_token)
    if number is None or not _standing(number).update(used_at=timezone.now(), used_by=user):
        raise Unusable


def _number(given_token: str) -> int | None:
    try:
        return int(_signer.unsign(given_token))
    except (BadSignature, ValueError):
        return None


def _standing(number: int) -> QuerySet[Invitation]:
    return Invitation.objects.filter(pk=number, used_at__isnull=True, expires_at__gt=timezone.now())
