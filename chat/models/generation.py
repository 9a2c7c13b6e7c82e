"""One attempt to produce an assistant message, and the states it moves through."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from chat.models.conversation import Conversation, Message
from chat.models.fields import DocumentField


class ErrorKind(models.TextChoices):
    """As in ``chat.engine.errors`` and ``chat.worker``; what is stored may be older than these."""

    REFUSED = "refused", _("Refused by the provider")
    NOT_AUTHORISED = "not_authorised", _("Not authorised")
    RATE_LIMITED = "rate_limited", _("Rate limited")
    UNAVAILABLE = "unavailable", _("Unavailable")
    UNREACHABLE = "unreachable", _("Unreachable")
    GARBLED = "garbled", _("Garbled answer")
    TIMED_OUT = "timed_out", _("Timed out")
    EMPTY = "empty", _("Empty answer")
    MODERATED = "moderated", _("Moderation objected")
    MISINSTRUCTED = "misinstructed", _("Moderation objected to the assistant")
    UNCHECKED = "unchecked", _("Not checked")
    INTERNAL = "internal", _("Fault of this server")
    PROVIDER = "provider", _("Other")

    @classmethod
    def words(cls, kind: str) -> str:
        return str(cls(kind).label) if kind in cls.values else kind


class State(models.TextChoices):
    QUEUED = "queued", _("Queued")
    STREAMING = "streaming", _("Streaming")
    COMPLETE = "complete", _("Complete")
    STOPPED = "stopped", _("Stopped")
    INTERRUPTED = "interrupted", _("Interrupted")
    FAILED = "failed", _("Failed")

    @property
    def terminal(self) -> bool:
        return self not in ACTIVE


ACTIVE = (State.QUEUED, State.STREAMING)
TERMINAL = tuple(state for state in State if state not in ACTIVE)
NEXT: dict[State, tuple[State, ...]] = {
    State.QUEUED: (State.STREAMING, State.STOPPED, State.INTERRUPTED, State.FAILED),
    State.STREAMING: TERMINAL,
}


class IllegalTransition(Exception):
    """A state was asked to move where it cannot go."""

    def __init__(self, got: State, wanted: State) -> None:
        super().__init__(f"a generation cannot move from {got} to {wanted}")
        self.got, self.wanted = got, wanted


WRITING_MIN_MS = 50.0  # of a speed that means something


class Purpose(models.TextChoices):
    REPLY = "reply", _("Reply")
    TITLE = "title", _("Title")


class Transport(models.TextChoices):
    WEBSOCKET = "websocket", "WebSocket"
    SSE = "sse", "Server-Sent Events"
    API = "api", "API"
    API_WHOLE = "api_whole", _("API, not streamed")  # its first token comes with its last


class GenerationQuerySet(models.QuerySet["Generation"]):
    def move(self, to: State, *, expect: State, **fields: Any) -> int:
        """Move the rows that are still in ``expect``; returns how many did.

        0 rows: somebody else won (I3). A terminal state is never left, so ``expect`` cannot be one.
        """
        if to not in NEXT.get(expect, ()):
            raise IllegalTransition(expect, to)
        return self.filter(state=expect).update(state=to, **fields)

    def active(self) -> "GenerationQuerySet":
        return self.filter(state__in=ACTIVE)

    def unreconciled(self) -> "GenerationQuerySet":
        return self.filter(state__in=TERMINAL, reconciled_at=None)


class Generation(models.Model):
    """One attempt to produce an assistant message: model, parameters, state, timings, usage, error.

    ``attempt`` counts the claims of the row. Whoever writes for an older attempt is refused.
    Times named ``ttft`` are milliseconds: *provider* from request sent to first delta, *served*
    from the send being accepted to the first fragment on a viewer's socket, *perceived* from the
    click to the first text painted, as the browser measured it. ``transport`` is what the viewer
    who saw the first fragment followed by.
    """

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="generations")
    message = models.OneToOneField(
        Message, models.CASCADE, null=True, blank=True, related_name="generation"
    )
    purpose = models.CharField(max_length=5, choices=Purpose.choices, default=Purpose.REPLY)
    model = models.CharField(_("model"), max_length=200, blank=True)
    parameters = models.JSONField(_("parameters"), default=dict)
    assistant = models.ForeignKey(
        "AssistantVersion", models.PROTECT, null=True, blank=True, related_name="+"
    )
    # Of one that came through the API: what goes to the provider as it was received, such as
    # ``messages``, ``tools`` and ``response_format``.
    request = DocumentField(_("request"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=11, choices=State.choices, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0)
    claimed_by = models.CharField(max_length=100, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    stop_requested = models.CharField(max_length=20, blank=True)  # for the worker that has it
    stop_reason = models.CharField(_("stop reason"), max_length=20, blank=True)
    request_id = models.CharField(_("request id"), max_length=64, blank=True)

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    requested_at = models.DateTimeField(_("requested"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    reconciled_at = models.DateTimeField(_("reconciled"), null=True, blank=True)
    ttft_provider_ms = models.FloatField(_("TTFT, provider"), null=True, blank=True)
    ttft_served_ms = models.FloatField(_("TTFT, served"), null=True, blank=True)
    ttft_perceived_ms = models.FloatField(_("TTFT, perceived"), null=True, blank=True)
    inter_token_p95_ms = models.FloatField(_("between tokens, p95"), null=True, blank=True)
    transport = models.CharField(
        _("transport"), max_length=9, choices=Transport.choices, blank=True
    )
    thinking_ms = models.FloatField(_("thinking time"), null=True, blank=True)
    writing_ms = models.FloatField(_("writing time"), null=True, blank=True)

    calls = models.PositiveIntegerField(_("provider calls"), default=0)
    finish_reason = models.CharField(_("finish reason"), max_length=40, blank=True)
    prompt_tokens = models.PositiveIntegerField(null=True, blank=True)
    completion_tokens = models.PositiveIntegerField(null=True, blank=True)
    reasoning_tokens = models.PositiveIntegerField(null=True, blank=True)
    tokens_estimated = models.BooleanField(default=False)
    error_kind = models.CharField(_("error"), max_length=30, blank=True)
    error_detail = models.TextField(_("error detail"), blank=True)

    objects = GenerationQuerySet.as_manager()

    class Meta:
        verbose_name = _("generation")
        verbose_name_plural = _("generations")
        constraints = [
            # Two different sends at once in one conversation: the database lets one through.
            models.UniqueConstraint(
                fields=["conversation"],
                condition=models.Q(state__in=["queued", "streaming"], purpose="reply"),
                name="one_active_reply_per_conversation",
            ),
            models.UniqueConstraint(
                fields=["conversation"],
                condition=models.Q(purpose="title"),
                name="one_title_per_conversation",
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at"], name="generation_queue", condition=models.Q(state="queued")
            ),
            models.Index(
                fields=["finished_at"],
                name="generation_unreconciled",
                condition=models.Q(reconciled_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} #{self.pk} ({self.state})"

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON Schema that the reply must satisfy, if there is one."""
        if self.request is not None:
            form = self.request.get("response_format")
            form = form.get("json_schema") if isinstance(form, dict) else None
            schema = form.get("schema") if isinstance(form, dict) else None
            return schema if isinstance(schema, dict) else None
        return self.assistant.response_schema if self.assistant else None

    @property
    def tokens_per_second(self) -> float | None:
        """Completion tokens over the time from the first delta to the last; None if unknown.

        What comes nearly at once tells of a buffer between the model and here, not of the model.
        """
        if not self.completion_tokens or self.completion_tokens < 2:
            return None
        if self.writing_ms is None or self.writing_ms < WRITING_MIN_MS:
            return None
        return (self.completion_tokens - 1) / self.writing_ms * 1000


class Timeline(models.Model):
    """How a reply grew, to be shown again at the pace at which it came.

    ``points`` are lists of milliseconds since the first request, characters of text and characters
    of reasoning at that moment; in order, and a few thousand at most. Apart from the generation,
    because nobody but who replays it needs it.
    """

    generation = models.OneToOneField(Generation, models.CASCADE, related_name="timeline")
    points = models.JSONField(default=list)

    class Meta:
        verbose_name = _("timeline")
        verbose_name_plural = _("timelines")

    def __str__(self) -> str:
        return f"{len(self.points)} points"
