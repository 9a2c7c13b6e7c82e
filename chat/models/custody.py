"""Who has looked at transcripts, what must be kept, and what is left of what was purged."""

import uuid
from typing import Any, ClassVar, NoReturn

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from chat.models.conversation import Conversation


class AppendOnly(Exception):
    """Somebody tried to change or delete an entry of a chain."""


class ChainedQuerySet(models.QuerySet[Any]):
    """Rows that are read. Of many at once, too, none is changed or deleted by our own code."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly

    update = delete = bulk_create = bulk_update = update_or_create = _refuse


class Chained(models.Model):
    """An entry of an append-only chain: each one seals the one before it.

    ``number`` counts from 1 without a gap. ``hash`` is the SHA-256 of the entry and of the hash
    before it; ``chat.record.chain`` makes and verifies both. ``SEALED`` are the columns that are in
    it beside ``at``.
    """

    SEALED: ClassVar[tuple[str, ...]]

    number = models.PositiveBigIntegerField(_("number"), primary_key=True)
    at = models.DateTimeField(_("when"))
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    objects = ChainedQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly


class AccessKind(models.TextChoices):
    TRANSCRIPT = "transcript", _("Read a transcript")
    SEARCH = "search", _("Searched transcripts")
    ADMIN = "admin", _("Read a record in the administration")
    EXPORT = "export", _("Exported transcripts")
    DECISION = "decision", _("Decided")
    IDENTITY = "identity", _("Saw who wrote")
    HOLD = "hold", _("Placed a legal hold")
    RELEASE = "release", _("Released a legal hold")
    PURGE = "purge", _("Purged")


class AccessEntry(Chained):
    """Who looked at what, whose it was, when and why: ``chat.record.access_log``.

    Names are kept beside the keys: an entry has to be readable, and provable, without any other
    row. There is no key to the conversation, which may be purged.
    """

    SEALED = (
        "number",
        "actor_id",
        "actor_name",
        "subject_id",
        "subject_name",
        "conversation_id",
        "kind",
        "purpose",
        "detail",
        "previous",
    )

    actor_id = models.BigIntegerField(null=True)  # none: the system itself, by retention
    actor_name = models.CharField(_("who"), max_length=150)
    subject_id = models.BigIntegerField(null=True)  # none: of several people
    subject_name = models.CharField(_("whose"), max_length=150, blank=True)
    conversation_id = models.UUIDField(_("conversation"), null=True, db_index=True)
    kind = models.CharField(_("what"), max_length=10, choices=AccessKind.choices)
    purpose = models.CharField(_("why"), max_length=300, blank=True)
    detail = models.JSONField(_("detail"), default=dict, blank=True)

    class Meta:
        verbose_name = _("access entry")
        verbose_name_plural = _("access log")
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"#{self.number} {self.actor_name}: {self.get_kind_display()}"


class SealReason(models.TextChoices):
    ENDED = "ended", _("The reply ended")
    REDACTION = "redaction", _("A reviewer redacted a passage")
    UPGRADE = "upgrade", _("It was there when sealing began")


class Seal(Chained):
    """What the record held of a reply when it ended, without a word of it: ``chat.record.seals``.

    Of several seals of one reply the last one counts. They have no key to the reply and outlive a
    purge, so that what is missing can be told from what was purged.
    """

    SEALED = ("number", "generation_id", "conversation_id", "reason", "contents", "previous")

    generation_id = models.BigIntegerField(db_index=True)
    conversation_id = models.UUIDField(db_index=True)
    reason = models.CharField(max_length=9, choices=SealReason.choices)
    contents = models.JSONField()

    class Meta:
        verbose_name = _("seal")
        verbose_name_plural = _("seals")

    def __str__(self) -> str:
        return f"#{self.number} of generation #{self.generation_id}"


class LegalHold(models.Model):
    """What must not be purged, whatever else says so: all of a person, or one conversation."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="holds"
    )
    conversation = models.ForeignKey(
        Conversation, models.PROTECT, null=True, blank=True, related_name="holds"
    )
    reason = models.CharField(_("reason"), max_length=300)
    placed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    placed_at = models.DateTimeField(_("placed"), auto_now_add=True)
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    released_at = models.DateTimeField(_("released"), null=True, blank=True)

    class Meta:
        verbose_name = _("legal hold")
        verbose_name_plural = _("legal holds")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(user=None) ^ models.Q(conversation=None),
                name="hold_on_a_person_or_a_conversation",
            ),
        ]

    def __str__(self) -> str:
        return self.reason


class Tombstone(models.Model):
    """What is left of a purged conversation: that it was there, and a proof without its text.

    ``sha256`` is of the hashes of its seals: ``chat.record.seals.proof``.
    """

    conversation_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="tombstones")
    messages = models.PositiveIntegerField(_("messages"))
    replies = models.PositiveIntegerField(_("replies"))
    sha256 = models.CharField("SHA-256", max_length=64)
    created_at = models.DateTimeField(_("created"))
    active_at = models.DateTimeField(_("last active"))
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=20)
    purged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    purged_at = models.DateTimeField(_("purged"), auto_now_add=True)

    class Meta:
        verbose_name = _("tombstone")
        verbose_name_plural = _("tombstones")

    def __str__(self) -> str:
        return str(self.conversation_id)
