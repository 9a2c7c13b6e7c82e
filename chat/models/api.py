"""Keys for the API, of which only a hash is kept."""

import hashlib
import secrets
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

PREFIX = "parley-"
SHOWN_CHARS = len(PREFIX) + 6  # of a key, so that its owner can tell which one it is


class Scope(models.TextChoices):
    CHAT = "chat", _("Chat completions")
    MODELS = "models", _("List of models")


def all_scopes() -> list[str]:
    return list(Scope.values)


def new_key() -> str:
    """A key: 256 random bits, so that a plain hash of it is enough."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self) -> Self:
        """Those that still open the door; their owner must be active too."""
        alive = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        return self.filter(alive, revoked_at=None, owner__is_active=True)


class ApiKey(models.Model):
    """A key of a user's. The key itself is shown once, when it is made."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="api_keys")
    name = models.CharField(_("name"), max_length=80, blank=True)
    shown = models.CharField(_("key"), max_length=SHOWN_CHARS, editable=False)
    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(_("scopes"), default=all_scopes)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return self.name or self.shown
