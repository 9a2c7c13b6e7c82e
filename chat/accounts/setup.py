"""The first administrator: a signed link that works while nobody has an account.

AlreadySetUp
    Somebody has an account; there is no first administrator to create any more.
"""

from datetime import timedelta

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from django.core.signing import BadSignature, TimestampSigner
from django.db import connection, transaction
from django.urls import reverse

from chat.models import User

LIFETIME = timedelta(days=7)

_WORD = "administrator"
_signer = TimestampSigner(salt="chat.accounts.setup")


class AlreadySetUp(Exception):
    """An account exists."""


def setup_path() -> str | None:
    """A fresh link's path, or None when somebody has an account."""
    if User.objects.exists():
        return None
    return reverse("setup", args=[_signer.sign(_WORD)])


def is_valid(token: str) -> bool:
    """Is this the token of a link that still works?"""
    try:
        word = _signer.unsign(token, max_age=LIFETIME)
    except BadSignature:
        return False
    return word == _WORD and not User.objects.exists()


def create_first_administrator(username: str, email: str, password: str) -> User:
    """Create the account that may do everything.

    Of two calls at once one wins, also against an ordinary sign-up: the check and the INSERT are
    one step for whoever else writes users.

    Raises:
        AlreadySetUp
    """
    user = User(
        username=username,
        email=email,
        password=make_password(password),  # slow by design, so before the lock
        is_staff=True,
        is_superuser=True,
    )
    with transaction.atomic():
        _lock_users()
        if User.objects.exists():
            raise AlreadySetUp
        user.save(force_insert=True)
        EmailAddress.objects.create(user=user, email=email, primary=True)
    return user


def _lock_users() -> None:
    # SQLite's transactions begin IMMEDIATE here (settings.py): this one already writes alone.
    if connection.vendor == "postgresql":
        table = connection.ops.quote_name(User._meta.db_table)
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
