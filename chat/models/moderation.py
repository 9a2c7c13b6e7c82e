"""Verdicts on messages, and the receipt that proves what a reply was."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from chat.models.conversation import Message
from chat.models.generation import Generation


class VerdictState(models.TextChoices):
    PENDING = "pending", _("Pending")
    PASSED = "passed", _("Passed")
    FLAGGED = "flagged", _("Flagged")
    ERROR = "error", _("Error")
    OVERRIDDEN = "overridden", _("Overridden")


class SchemaVerdict(models.TextChoices):
    """Of a reply that had to satisfy a schema; empty for all others."""

    VALID = "valid", _("Valid")
    INVALID = "invalid", _("Invalid")


class Verdict(models.Model):
    """What one moderation backend says of one message: categories with scores from 0 to 1."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="verdicts")
    backend = models.CharField(_("backend"), max_length=40)
    model = models.CharField(_("model"), max_length=200, blank=True)
    version = models.CharField(_("version"), max_length=100, blank=True)
    state = models.CharField(
        _("state"), max_length=10, choices=VerdictState.choices, default=VerdictState.PENDING
    )
    categories = models.JSONField(_("categories"), default=dict)
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("verdict")
        verbose_name_plural = _("verdicts")
        constraints = [
            models.UniqueConstraint(fields=["message", "backend"], name="one_verdict_per_backend"),
        ]
        indexes = [
            models.Index(
                fields=["next_try_at"], name="verdict_pending", condition=models.Q(state="pending")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.backend}: {self.state}"


class Receipt(models.Model):
    """The proof for one reply, written once by ``reconcile``; only the verdict may be added later.

    ``sha256`` is of the text's UTF-8 bytes as stored; an empty text has the hash of no bytes.
    """

    generation = models.OneToOneField(Generation, models.CASCADE, related_name="receipt")
    state = models.CharField(_("state"), max_length=11)
    finish_reason = models.CharField(_("finish reason"), max_length=40, blank=True)
    sha256 = models.CharField("SHA-256", max_length=64)
    characters = models.PositiveIntegerField(_("characters"))
    verdict = models.CharField(_("verdict"), max_length=10, choices=VerdictState.choices)
    schema_verdict = models.CharField(
        _("schema verdict"), max_length=7, choices=SchemaVerdict.choices, blank=True
    )
    # Dicts with ``path`` (a list of names and numbers) and ``message``.
    schema_errors = models.JSONField(_("schema errors"), default=list, blank=True)
    prompt_tokens = models.PositiveIntegerField(null=True, blank=True)
    completion_tokens = models.PositiveIntegerField(null=True, blank=True)
    ttft_provider_ms = models.FloatField(null=True, blank=True)
    ttft_served_ms = models.FloatField(null=True, blank=True)
    written_at = models.DateTimeField(_("written"), auto_now_add=True)

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")

    def __str__(self) -> str:
        return f"{self.state} {self.sha256[:12]}"
