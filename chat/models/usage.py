"""The ledger: what each request cost and how long it took, without a word of its text."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from chat.models.generation import Transport


class PaidFor(models.TextChoices):
    """What a model was paid for. Those of generations have the values of their ``Purpose``."""

    REPLY = "reply", _("Replies")
    TITLE = "title", _("Titles")
    MODERATION = "moderation", _("Moderation")


class Usage(models.Model):
    """One generation that ended, for metrics and cost. Written once, when it is reconciled.

    It has no key to the generation but its number, and stays when the conversation is purged.
    A text that a remote moderation backend was asked about has a row, too, without a number.
    Times are milliseconds; a ``cost`` of None means that the model has no price.
    """

    generation_id = models.BigIntegerField(unique=True, null=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="usage")
    ended_at = models.DateTimeField(_("ended"), db_index=True)
    purpose = models.CharField(max_length=10, choices=PaidFor.choices)
    model = models.CharField(_("model"), max_length=200, blank=True)
    transport = models.CharField(
        _("transport"), max_length=9, choices=Transport.choices, blank=True
    )
    state = models.CharField(_("state"), max_length=11)
    stop_reason = models.CharField(_("stop reason"), max_length=20, blank=True)
    error_kind = models.CharField(_("error"), max_length=30, blank=True)
    calls = models.PositiveIntegerField(_("provider calls"), default=0)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    tokens_estimated = models.BooleanField(default=False)
    cost = models.DecimalField(_("cost"), max_digits=14, decimal_places=6, null=True, blank=True)
    ttft_provider_ms = models.FloatField(null=True, blank=True)
    ttft_served_ms = models.FloatField(null=True, blank=True)
    ttft_perceived_ms = models.FloatField(null=True, blank=True)
    inter_token_p95_ms = models.FloatField(null=True, blank=True)
    tokens_per_second = models.FloatField(null=True, blank=True)

    class Meta:
        verbose_name = _("usage")
        verbose_name_plural = _("usage")
        indexes = [models.Index(fields=["user", "ended_at"], name="usage_of_user")]

    def __str__(self) -> str:
        what = f"#{self.generation_id}" if self.generation_id else self.purpose
        return f"{what} {self.model}: {self.state}"
