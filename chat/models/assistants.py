"""Assistants: presets for conversations, with every version that a reply ran with."""

from typing import Self

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from chat.models.fields import DocumentField
from chat.models.parameters import Parameters

NAME_CHARS = 80
DESCRIPTION_CHARS = 300


class Visibility(models.TextChoices):
    PRIVATE = "private", _("Only me")
    GROUPS = "groups", _("My groups")
    EVERYONE = "everyone", _("Everyone")


class ToolChoice(models.TextChoices):
    """As in the chat completions API; ``required`` holds for the first round of a reply."""

    AUTO = "auto", _("When it helps")
    REQUIRED = "required", _("Always")


class AssistantQuerySet(models.QuerySet["Assistant"]):
    def present(self) -> Self:
        return self.filter(archived_at=None)

    def visible_to(self, user_id: int) -> Self:
        """The user's own, those of his groups, and those for everyone."""
        return self.present().filter(
            Q(owner=user_id)
            | Q(visibility=Visibility.EVERYONE)
            | Q(
                visibility=Visibility.GROUPS,
                pk__in=Assistant.groups.through.objects.filter(group__user=user_id).values(
                    "assistant_id"
                ),
            )
        )


class Assistant(models.Model):
    """A preset: who made it, who sees it, and its newest version."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="assistants")
    visibility = models.CharField(
        _("visible to"), max_length=8, choices=Visibility.choices, default=Visibility.PRIVATE
    )
    groups = models.ManyToManyField(Group, verbose_name=_("groups"), blank=True)
    newest = models.ForeignKey(
        "AssistantVersion", models.PROTECT, null=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True)

    objects = AssistantQuerySet.as_manager()

    class Meta:
        verbose_name = _("assistant")
        verbose_name_plural = _("assistants")

    def __str__(self) -> str:
        return self.newest.name if self.newest else f"#{self.pk}"


class AssistantVersion(Parameters):
    """What an assistant was at one time; never changed, so that a transcript can show it.

    ``tools`` are names of the registry, ``approvals`` those among them that the user is asked
    about before each call. ``response_schema`` is a JSON Schema that every reply must satisfy.
    """

    assistant = models.ForeignKey(Assistant, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    name = models.CharField(_("name"), max_length=NAME_CHARS)
    description = models.CharField(_("description"), max_length=DESCRIPTION_CHARS, blank=True)
    instructions = models.TextField(_("instructions"), blank=True)
    tools = models.JSONField(_("tools"), default=list, blank=True)
    approvals = models.JSONField(_("tools that ask first"), default=list, blank=True)
    tool_choice = models.CharField(
        _("use tools"), max_length=8, choices=ToolChoice.choices, default=ToolChoice.AUTO
    )
    response_schema = DocumentField(_("response schema"), null=True, blank=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("version of an assistant")
        verbose_name_plural = _("versions of assistants")
        constraints = [
            models.UniqueConstraint(fields=["assistant", "number"], name="one_version_per_number"),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.number}"
