"""A conversation is a tree of messages owned by one user; its head names the branch on screen."""

import secrets
import uuid
from typing import Self

from django.conf import settings
from django.db import models, transaction
from django.utils.translation import gettext_lazy as _

from chat.models.parameters import Parameters
from chat.tree import Tree

TITLE_CHARS = 120
# Embeddings, overrides and isolates of Unicode's bidirectional algorithm
NO_TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
READ_BEFORE_CHARS = 2_000
WITH = (
    "generation",
    "generation__receipt",
    "generation__assistant",
    "review",
)  # what showing one needs


def new_salt() -> str:
    return secrets.token_hex(16)


def _next_revision(conversation_id: uuid.UUID) -> tuple[int, int | None]:
    """Count up a conversation's revision; returns it and the head at that moment.

    The UPDATE locks the row until commit, so revisions become visible in order: a viewer that has
    seen revision n has missed nothing below it. Plain SQL, because every reply does this four
    times and RETURNING saves the second query.
    """
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("a revision needs a transaction")
    field = Conversation._meta.pk
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE chat_conversation SET revision = revision + 1 WHERE id = %s"
            " RETURNING revision, head_id",
            [field.get_db_prep_value(conversation_id, connection)],
        )
        row = cursor.fetchone()
    if row is None:
        raise Conversation.DoesNotExist(conversation_id)
    return row[0], row[1]


def next_revision(conversation_id: uuid.UUID) -> int:
    """The next revision of a conversation, for what this transaction changes. Call inside one.

    Raises:
        TransactionManagementError: outside a transaction.
        Conversation.DoesNotExist
    """
    return _next_revision(conversation_id)[0]


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def present(self) -> Self:
        """Those that their owner has not deleted. Deleted ones stay for the reviewers."""
        return self.filter(deleted_at=None)


class Conversation(Parameters):
    """A tree of messages owned by one user.

    ``revision`` counts what changed in it, so that a viewer can ask for all that is newer than
    what it has: see ``bump``. ``branch_revision`` is the one at which the head last jumped to
    another branch: a viewer older than that takes the whole transcript anew. ``seal_salt`` is in
    every hash of its seals, which stay when the conversation is purged: without it nobody can try
    whether a text was there.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="conversations"
    )
    title = models.CharField(_("title"), max_length=TITLE_CHARS, blank=True)
    titled_by_user = models.BooleanField(default=False)
    head = models.ForeignKey("Message", models.SET_NULL, null=True, blank=True, related_name="+")
    revision = models.PositiveBigIntegerField(default=0)
    branch_revision = models.PositiveBigIntegerField(default=0)
    seal_salt = models.CharField(max_length=32, default=new_salt, db_default="", editable=False)

    assistant = models.ForeignKey(
        "Assistant", models.PROTECT, null=True, blank=True, related_name="conversations"
    )
    # The one that it was asked with, when it came through the API and not from a page.
    api_key = models.ForeignKey(
        "ApiKey", models.PROTECT, null=True, blank=True, related_name="conversations"
    )

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    active_at = models.DateTimeField(_("last active"), db_index=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        indexes = [models.Index(fields=["owner", "-active_at"], name="conversation_list")]

    def __str__(self) -> str:
        return self.shown_title or str(_("New chat"))

    @property
    def shown_title(self) -> str:
        """Without what turns the letters round it, too. What is stored is compared with texts."""
        return self.title.translate(NO_TURNING)

    def bump(self) -> int:
        """Take the next revision, for what this transaction changes, and the newest head."""
        self.revision, self.head_id = _next_revision(self.pk)
        return self.revision

    def tree(self) -> Tree:
        """The shape of the conversation as of ``head``: one query, and no text is read."""
        return Tree(
            self.messages.order_by("pk").values_list("pk", "parent_id", "role"), self.head_id
        )

    def branch(self, tree: Tree | None = None) -> list["Message"]:
        """The messages on screen, oldest first, with their generations and receipts."""
        ids = (tree or self.tree()).branch
        rows = Message.objects.select_related(*WITH).prefetch_related("feedback").in_bulk(ids)
        return [rows[pk] for pk in ids if pk in rows]


class Role(models.TextChoices):
    SYSTEM = "system", _("System")  # only in what came through the API
    USER = "user", _("User")
    ASSISTANT = "assistant", _("Assistant")
    TOOL = "tool", _("Tool")


class Message(models.Model):
    """What somebody said. An assistant's message is filled in by its generation.

    ``created_revision`` and ``revision`` are the conversation's revisions at which the message
    appeared and last changed. While a generation writes, ``text`` trails what is shown by at most
    the write-behind's interval (I2).
    """

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="children"
    )
    role = models.CharField(_("role"), max_length=9, choices=Role.choices)
    text = models.TextField(_("text"), blank=True)
    reasoning = models.TextField(_("reasoning"), blank=True)
    send_key = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001
    created_revision = models.PositiveBigIntegerField()
    revision = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    withheld_at = models.DateTimeField(_("withheld"), null=True, blank=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [
            # One form, submitted twenty times at once, makes one message (I1).
            models.UniqueConstraint(
                fields=["conversation", "send_key"], name="one_message_per_send_key"
            ),
        ]
        indexes = [models.Index(fields=["conversation", "revision"], name="message_changes")]

    def __str__(self) -> str:
        return f"{self.role} #{self.pk}"

    def text_before(self) -> str:
        """What a reader of a continuation has read of the same reply; empty for other messages.

        Moderation needs it: a reply that is cut in the right places has no word that is flagged.
        The end of it will do, for the patterns reach no farther than a sentence.
        """
        found = ""
        current = self.parent
        while current is not None and current.role == self.role == Role.ASSISTANT:
            found = current.text + found
            if len(found) >= READ_BEFORE_CHARS:
                break
            current = current.parent
        return found[-READ_BEFORE_CHARS:]
