"""Review: what waits for a reviewer, what reviewers decided, what people said of replies."""

from collections.abc import Sequence

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from chat.models.conversation import Message


class ReviewState(models.TextChoices):
    OPEN = "open", _("Open")
    ESCALATED = "escalated", _("Escalated")
    PROPOSED = "proposed", _("Waiting for a second reviewer")
    CLOSED = "closed", _("Decided")


class DecisionKind(models.TextChoices):
    DISMISS = "dismiss", _("Dismiss and restore")
    UPHOLD = "uphold", _("Uphold and remove")
    REDACT = "redact", _("Redact a passage")
    ESCALATE = "escalate", _("Escalate")


class ReviewItem(models.Model):
    """A message that waits for a reviewer, or that one has decided on.

    The reasons may hold at once. ``score`` is the highest that a verdict gave. ``outcome`` is
    the decision that took effect last; the message's own reader sees it, and in which words depends
    on whether it ``was_withheld`` until then.
    """

    message = models.OneToOneField(Message, models.CASCADE, related_name="review")
    is_flagged = models.BooleanField(_("flagged"), default=False)
    is_unclear = models.BooleanField(_("no verdict could be had"), default=False)
    is_reported = models.BooleanField(_("reported"), default=False)
    is_sampled = models.BooleanField(_("sampled"), default=False)
    is_repeat = models.BooleanField(_("repeats what was redacted"), default=False, db_default=False)
    score = models.FloatField(_("score"), default=0.0)
    was_withheld = models.BooleanField(_("was withheld"), default=False)
    state = models.CharField(
        _("state"), max_length=9, choices=ReviewState.choices, default=ReviewState.OPEN
    )
    outcome = models.CharField(_("outcome"), max_length=8, choices=DecisionKind.choices, blank=True)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="review_items",
        verbose_name=_("assignee"),
    )
    opened_at = models.DateTimeField(_("opened"), auto_now_add=True)
    closed_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("review item")
        verbose_name_plural = _("review items")
        indexes = [
            models.Index(fields=["state", "opened_at"], name="review_queue"),
            models.Index(fields=["opened_at"], name="review_opened"),
            models.Index(fields=["closed_at"], name="review_closed"),
        ]
        # Not Django's default permissions alone: nobody reviews by right of being a superuser.
        permissions = [
            ("review_transcripts", "Can read transcripts and decide on them"),
            ("see_identities", "Can see who wrote where reviewing is anonymous"),
            ("export_transcripts", "Can export transcripts for review"),
            ("hold_transcripts", "Can place and release legal holds"),
        ]

    def __str__(self) -> str:
        return f"message #{self.message_id}: {self.state}"


class ReviewDecision(models.Model):
    """What a reviewer decided, and why. Where two have to agree, the second ``confirms`` the first.

    ``passages`` of a redaction are lists of start and end in the text as it was then, and strings:
    words to take out wherever they stand, of which only blocks are left when it takes effect.
    ``repeated_in`` is known when that happens, and not kept: messages that say the same,
    and wait now.
    """

    repeated_in: Sequence[int] = ()

    item = models.ForeignKey(ReviewItem, models.CASCADE, related_name="decisions")
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="review_decisions"
    )
    kind = models.CharField(_("decision"), max_length=8, choices=DecisionKind.choices)
    note = models.TextField(_("note"), blank=True)
    passages = models.JSONField(default=list, blank=True)
    confirms = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="+")
    took_effect = models.BooleanField(_("took effect"), default=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.kind} by {self.reviewer_id}"


class Redaction(models.Model):
    """A passage that was taken out of a message: where, and the hash of the text that is left.

    Of what stood there only its length and its hash are kept. The text is left when all passages of
    the same decision are gone: it is the same for all of them.
    """

    message = models.ForeignKey(Message, models.CASCADE, related_name="redactions")
    decision = models.ForeignKey(
        ReviewDecision, models.SET_NULL, null=True, blank=True, related_name="redactions"
    )
    start = models.PositiveIntegerField()
    characters = models.PositiveIntegerField()
    sha256 = models.CharField("SHA-256", max_length=64)  # of the passage
    sha256_after = models.CharField("SHA-256", max_length=64)  # of the whole text that is left
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("redaction")
        verbose_name_plural = _("redactions")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"message #{self.message_id}: {self.characters} characters at {self.start}"


class Complaint(models.TextChoices):
    """Why a person reports a reply."""

    HARMFUL = "harmful", _("Harmful or dangerous")
    HATEFUL = "hateful", _("Hateful or harassing")
    FALSE = "false", _("False or misleading")
    PRIVATE = "private", _("Reveals private information")
    OTHER = "other", _("Something else")


class Report(models.Model):
    """A person's report of a reply to the reviewers."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="reports")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="reports")
    complaint = models.CharField(_("reason"), max_length=8, choices=Complaint.choices)
    note = models.TextField(_("note"), blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("report")
        verbose_name_plural = _("reports")
        constraints = [
            models.UniqueConstraint(fields=["message", "user"], name="one_report_per_user"),
        ]

    def __str__(self) -> str:
        return f"message #{self.message_id}: {self.complaint}"


class Opinion(models.TextChoices):
    GOOD = "good", _("Good")
    BAD = "bad", _("Bad")


class Feedback(models.Model):
    """Was the reply good? What its reader says, until he says otherwise."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="feedback")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="feedback")
    opinion = models.CharField(_("opinion"), max_length=4, choices=Opinion.choices)
    updated_at = models.DateTimeField(_("given"), auto_now=True)

    class Meta:
        verbose_name = _("feedback")
        verbose_name_plural = _("feedback")
        constraints = [
            models.UniqueConstraint(fields=["message", "user"], name="one_opinion_per_user"),
        ]

    def __str__(self) -> str:
        return f"message #{self.message_id}: {self.opinion}"
