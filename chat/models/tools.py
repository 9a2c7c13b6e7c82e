"""Tool calls as they happened, and the servers that bring tools."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from chat.models.conversation import Message
from chat.models.fields import DocumentField

NAME_CHARS = 200


class CallState(models.TextChoices):
    """``engine.events.Step`` has the same words."""

    WRITTEN = "written", _("Being written")
    WAITING = "waiting", _("Waiting for approval")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    INVALID = "invalid", _("Invalid arguments")
    DENIED = "denied", _("Denied")
    STOPPED = "stopped", _("Stopped")
    PASSED_ON = "passed_on", _("Passed on to the client")


class Decision(models.TextChoices):
    APPROVED = "approved", _("Approved")
    DENIED = "denied", _("Denied")


class ToolCall(models.Model):
    """One call in a reply: what the model wrote, what was run, what came of it.

    ``number`` counts the calls of a reply from 0, ``round`` the requests to the provider from 1.
    ``offset`` is how many characters of the message's text stand before the call. ``arguments`` is
    what was received, character by character; ``parsed`` is None where that was no JSON object.
    """

    message = models.ForeignKey(Message, models.CASCADE, related_name="tool_calls")
    number = models.PositiveIntegerField()
    round = models.PositiveIntegerField()
    offset = models.PositiveIntegerField()
    call_id = models.CharField(max_length=NAME_CHARS, blank=True)
    name = models.CharField(_("name"), max_length=NAME_CHARS)
    arguments = models.TextField(_("arguments"), blank=True)
    parsed = models.JSONField(null=True, blank=True)
    state = models.CharField(_("state"), max_length=9, choices=CallState.choices)
    decision = models.CharField(_("decision"), max_length=8, choices=Decision.choices, blank=True)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    result = models.TextField(_("result"), blank=True)
    duration_ms = models.FloatField(_("duration"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("tool call")
        verbose_name_plural = _("tool calls")
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["message", "number"], name="one_call_per_number"),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"


class ServerTransport(models.TextChoices):
    STDIO = "stdio", _("A program on this machine (stdio)")
    HTTP = "http", _("An address (streamable HTTP)")


class ToolServer(models.Model):
    """A server of the Model Context Protocol, as an administrator configured it.

    A value of ``environment`` or ``headers`` that is ``$NAME`` is taken from the process's own
    environment, so that no secret need be stored. ``listed`` is what it said it has when it was
    last asked: dicts with ``name``, ``description`` and ``parameters`` (a JSON Schema).
    """

    name = models.SlugField(_("name"), max_length=40, unique=True)
    transport = models.CharField(_("transport"), max_length=5, choices=ServerTransport.choices)
    command = models.CharField(_("command"), max_length=500, blank=True)
    arguments = models.JSONField(_("arguments"), default=list, blank=True)
    environment = models.JSONField(_("environment"), default=dict, blank=True)
    url = models.CharField(_("address"), max_length=500, blank=True)
    headers = models.JSONField(_("headers"), default=dict, blank=True)
    timeout_s = models.PositiveIntegerField(_("seconds per call"), default=30)
    enabled = models.BooleanField(_("enabled"), default=True)
    listed = DocumentField(default=list, blank=True, editable=False)
    listed_at = models.DateTimeField(_("tools listed"), null=True, blank=True, editable=False)
    problem = models.CharField(_("problem"), max_length=300, blank=True, editable=False)

    class Meta:
        verbose_name = _("tool server")
        verbose_name_plural = _("tool servers")

    def __str__(self) -> str:
        return self.name
