"""What allauth asks us: who may sign up, what a password may be, where a request comes from."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from chat.accounts import invitations
from chat.models import User

# ASVS 5, 6.2.9 asks for at least 64. The bound is for memory, not for strength, so it is checked
# here and never a field's maxlength: that one cuts what is pasted, without a word (6.2.8).
PASSWORD_MAX_CHARS = 128

# One text for a name that is unknown and for a password that is wrong.
_MISMATCH = _("That username or email address and password do not match an account.")


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": _MISMATCH,
        "email_password_mismatch": _MISMATCH,
        "incorrect_password": _("This is not your current password."),
        "enter_current_password": _("This is not your current password."),
        "email_taken": _("An account with this email address exists already."),
        "username_taken": _("This username is taken."),
        "too_many_login_attempts": _("Too many failed attempts. Wait a few minutes."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        if settings.SIGNUP == "invite":
            return invitations.stands(invitations.given(request))
        return bool(settings.SIGNUP == "open")

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Create the account and use up its invitation, both or neither.

        Raises:
            Unusable: somebody else has used the invitation meanwhile.
        """
        # The password is hashed in here, which takes long: before the database is locked.
        super().save_user(request, user, form, commit=False)
        if commit:
            with transaction.atomic():
                user.save()
                if settings.SIGNUP == "invite":
                    invitations.use(invitations.given(request), user)
        return user

    def clean_username(self, username: str, shallow: bool = False) -> str:
        # As Django's own forms do: look-alikes from other parts of Unicode are one name.
        username = User.normalize_username(username)
        return str(super().clean_username(username, shallow))

    def clean_password(self, password: str, user: User | None = None) -> str:
        if len(password) > PASSWORD_MAX_CHARS:
            raise ValidationError(
                _("This password is too long. It may have up to %(max)d characters."),
                code="password_too_long",
                params={"max": PASSWORD_MAX_CHARS},
            )
        return str(super().clean_password(password, user))

    def get_client_ip(self, request: HttpRequest) -> str:
        # No address means that the peer came through a Unix socket, so from this machine.
        return str(request.META.get("REMOTE_ADDR") or "127.0.0.1")

    def format_email_subject(self, subject: str) -> str:
        return f"[Parley] {subject}"
