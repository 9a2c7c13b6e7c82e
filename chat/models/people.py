"""The people who sign in, and the invitations that let them."""

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    """Somebody who signs in.

    ``finish_when_away``: replies are written to their end although nobody watches any more, where
    the operator allows it.
    """

    finish_when_away = models.BooleanField(_("finish my answers when I leave"), default=False)

    class Meta(AbstractUser.Meta):
        permissions = [("view_status", "Can see the operator's status page")]
        constraints = [
            # "Bob" and "bob" would be one person to whoever reads a transcript.
            models.UniqueConstraint(Lower("username"), name="one_user_per_name"),
        ]


class Invitation(models.Model):
    """A permission to sign up once, for ``SIGNUP=invite``. Its link is signed, not stored."""

    note = models.CharField(_("note"), max_length=200, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="invitations", editable=False
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"))
    used_by = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="invitation",
    )
    used_at = models.DateTimeField(_("used"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")

    def __str__(self) -> str:
        return self.note or f"#{self.pk}"
