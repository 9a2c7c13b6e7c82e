"""Verdicts on messages, the policy that acts on them, and the receipt that proves a reply."""

from django.conf import settings
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


class Direction(models.TextChoices):
    """Which way a message goes: to the model, or from it."""

    INPUT = "input", _("What people write")
    OUTPUT = "output", _("What the model writes")


class Action(models.TextChoices):
    """What the policy does about a category, from the mildest to the gravest.

    ``STOP`` of an input: no model is asked. Of an output: the reply ends where it is, and is
    withheld.
    """

    ALLOW = "allow", _("Allow")
    FLAG = "flag", _("Flag")
    WITHHOLD = "withhold", _("Withhold")
    STOP = "stop", _("Stop")


class SchemaVerdict(models.TextChoices):
    """Of a reply that had to satisfy a schema; empty for all others."""

    VALID = "valid", _("Valid")
    INVALID = "invalid", _("Invalid")


class Verdict(models.Model):
    """What one moderation backend says of one message: categories with scores from 0 to 1.

    ``hits`` are the categories that the backend itself objects to, ``action`` is what the policy
    (``policy`` names its version) made of them. ``spans`` marks passages of the message's text as
    lists of start, end and category. ``history`` keeps what an earlier version of rules or policy
    had said: dicts with ``state``, ``action``, ``categories``, ``version``, ``policy`` and
    ``decided_at``. ``error`` says why there is no verdict where the state is "error".
    """

    message = models.ForeignKey(Message, models.CASCADE, related_name="verdicts")
    backend = models.CharField(_("backend"), max_length=40)
    model = models.CharField(_("model"), max_length=200, blank=True)
    version = models.CharField(_("version"), max_length=100, blank=True)
    state = models.CharField(
        _("state"), max_length=10, choices=VerdictState.choices, default=VerdictState.PENDING
    )
    categories = models.JSONField(_("categories"), default=dict)
    hits = models.JSONField(_("hits"), default=list, blank=True)
    spans = models.JSONField(_("passages"), default=list, blank=True)
    action = models.CharField(
        _("action"), max_length=8, choices=Action.choices, default=Action.ALLOW
    )
    policy = models.CharField(_("policy"), max_length=12, blank=True)
    error = models.CharField(_("error"), max_length=200, blank=True)
    history = models.JSONField(_("history"), default=list, blank=True)
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
            # Holds all that is counted of them, so that counting reads no scores and no passages.
            models.Index(fields=["decided_at", "state", "backend"], name="verdict_counts"),
        ]

    def __str__(self) -> str:
        return f"{self.backend}: {self.state}"


class PolicyRule(models.Model):
    """What to do about a category in one direction; the most specific rule counts.

    An empty ``category`` is for all that have no rule of their own. A rule for "violence" holds for
    "violence/graphic" too. Without ``threshold``, the backend says from which score on it objects.
    """

    direction = models.CharField(_("direction"), max_length=6, choices=Direction.choices)
    category = models.CharField(_("category"), max_length=60, blank=True)
    action = models.CharField(_("action"), max_length=8, choices=Action.choices)
    threshold = models.FloatField(_("from score"), null=True, blank=True)

    class Meta:
        verbose_name = _("policy rule")
        verbose_name_plural = _("policy")
        ordering = ["direction", "category"]
        constraints = [
            models.UniqueConstraint(
                fields=["direction", "category"], name="one_policy_rule_per_category"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.direction}, {self.category or '*'}: {self.action}"


class RuleKind(models.TextChoices):
    TERM = "term", _("Words or phrases, one in each line")
    PATTERN = "pattern", _("Regular expression")
    PERSONAL = "personal", _("Personal data")
    SECRET = "secret", _("Secrets such as keys and passwords")


class ModerationRule(models.Model):
    """A rule of the operator's own; the backend "rules" applies all that are enabled."""

    name = models.CharField(_("name"), max_length=80, unique=True)
    kind = models.CharField(_("kind"), max_length=8, choices=RuleKind.choices)
    pattern = models.TextField(_("what to look for"), blank=True)
    category = models.CharField(_("category"), max_length=60)
    # Empty: both.
    direction = models.CharField(
        _("direction"), max_length=6, choices=Direction.choices, blank=True
    )
    score = models.FloatField(_("score"), default=1.0)
    enabled = models.BooleanField(_("enabled"), default=True)
    note = models.TextField(_("note"), blank=True)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, editable=False, related_name="+"
    )
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("moderation rule")
        verbose_name_plural = _("moderation rules")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


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
