"""The form of an assistant: what a version says, and who sees the assistant."""

from copy import copy
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import Group
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _

from chat import assistants
from chat.forms import ParametersForm
from chat.forms_schema import read_schema, written
from chat.instructions import told
from chat.models import Assistant, AssistantVersion, ToolChoice, User, Visibility
from chat.models.parameters import NAMES
from chat.tools import registry
from chat.tools.base import Tool


@dataclass(frozen=True, slots=True)
class ToolRow:
    """A tool as the form shows it. ``missing``: the version has it, the server has not any more."""

    name: str
    title: str
    description: str
    ticked: bool
    asks: bool
    missing: bool = False


def tools_to_choose() -> dict[str, Tool]:
    """The tools that there are, by name."""
    return registry.available()


class AssistantForm(ParametersForm):
    """``instance`` is the newest version or a new one; it is not saved by the form."""

    instance: AssistantVersion
    instructions = forms.CharField(
        label=_("Instructions"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 10}),
        help_text=_(
            "What the model is told before every conversation."
            " Whoever sees the assistant can read them."
        ),
    )
    visibility = forms.ChoiceField(
        label=_("Visible to"), widget=forms.RadioSelect, initial=Visibility.PRIVATE
    )
    groups: "forms.ModelMultipleChoiceField[Group]" = forms.ModelMultipleChoiceField(
        Group.objects.none(),
        label=_("Groups"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    tools = forms.MultipleChoiceField(label=_("Tools"), required=False)
    approvals = forms.MultipleChoiceField(label=_("Ask me first"), required=False)
    tool_choice = forms.ChoiceField(
        label=_("Use tools"),
        required=False,
        choices=ToolChoice.choices,
        initial=ToolChoice.AUTO,
        widget=forms.RadioSelect,
        help_text=_("“Always” holds for the first step of a reply."),
    )
    response_schema = forms.CharField(
        label=_("Response schema"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "class": "code-box"}),
        help_text=_(
            "A JSON Schema (draft 2020-12) that every reply has to satisfy."
            " Empty: the reply is free text."
        ),
    )

    class Meta(ParametersForm.Meta):
        model = AssistantVersion
        fields = (
            "name",
            "description",
            "instructions",
            "model",
            *NAMES,
            "tools",
            "approvals",
            "tool_choice",
            "response_schema",
        )
        labels = {
            **ParametersForm.Meta.labels,
            "name": _("Name"),
            "description": _("Description"),
        }
        help_texts = {
            **ParametersForm.Meta.help_texts,
            "description": _("A sentence or two: what it is good for."),
        }
        widgets = {
            **ParametersForm.Meta.widgets,
            "description": forms.Textarea(attrs={"rows": 2}),
        }

    def __init__(
        self, user: User, data: Any = None, *, assistant: Assistant | None = None, **kwargs: Any
    ) -> None:
        self._tools = dict(tools_to_choose())
        self._old = assistant.newest if assistant else None
        initial: dict[str, Any] = {}
        if assistant is not None:
            initial = {
                "visibility": assistant.visibility,
                "groups": list(assistant.groups.all()),
            }
        if self._old is not None:
            initial["response_schema"] = written(self._old.response_schema)
            kwargs["instance"] = _copy(self._old)
        super().__init__(data, initial=initial, **kwargs)
        self._set_choices(user)
        if self.errors:
            wrong = next((name for name in self.errors if name in self.fields), None)
            if wrong and not isinstance(self.fields[wrong].widget, forms.RadioSelect):
                self.fields[wrong].widget.attrs["autofocus"] = True

    def _set_choices(self, user: User) -> None:
        groups = user.groups.order_by("name")
        _choices(self, "groups").queryset = groups
        allowed = [Visibility.PRIVATE]
        if groups:
            allowed.append(Visibility.GROUPS)
        if user.has_perm("chat.change_assistant"):
            allowed.append(Visibility.EVERYONE)
        _choices(self, "visibility").choices = [(one.value, one.label) for one in allowed]
        kept = self._old.tools if self._old else []
        names = [(name, name) for name in {*self._tools, *kept}]
        _choices(self, "tools").choices = names
        _choices(self, "approvals").choices = names

    @property
    def tool_rows(self) -> list[ToolRow]:
        """The tools to tick: those that there are, and those that the version has besides."""
        bound = self.is_bound
        ticked, asks = (self._old.tools, self._old.approvals) if self._old else ([], [])
        if isinstance(self.data, MultiValueDict) and bound:
            ticked, asks = self.data.getlist("tools"), self.data.getlist("approvals")
        rows = [
            ToolRow(
                tool.name,
                str(tool.title),
                tool.description,
                tool.name in ticked,
                # What a tool is by itself, until somebody has decided about it.
                tool.name in asks if bound or tool.name in ticked else tool.asks_first,
            )
            for tool in self._tools.values()
        ]
        gone = [name for name in (self._old.tools if self._old else []) if name not in self._tools]
        return rows + [
            ToolRow(name, name, "", name in ticked, name in asks, missing=True) for name in gone
        ]

    def clean_instructions(self) -> str:
        # Browsers submit line breaks as CRLF whatever was typed.
        text = str(self.cleaned_data["instructions"]).replace("\r\n", "\n").strip()
        limit = settings.MESSAGE_MAX_CHARS  # they are a message, too, to the model
        if len(text) > limit:
            raise forms.ValidationError(
                _("Too long: %(length)s of at most %(limit)s characters.")
                % {"length": f"{len(text):,}", "limit": f"{limit:,}"}
            )
        return text

    def clean_description(self) -> str:
        return " ".join(str(self.cleaned_data["description"]).split())

    def clean_response_schema(self) -> dict[str, Any] | None:
        return read_schema(self.cleaned_data["response_schema"])

    def clean_tool_choice(self) -> str:
        return self.cleaned_data["tool_choice"] or ToolChoice.AUTO

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        tools = cleaned.get("tools", [])
        # In the registry's order, so that ticking in another one is no change.
        cleaned["tools"] = [row.name for row in self.tool_rows if row.name in tools]
        cleaned["approvals"] = [n for n in cleaned["tools"] if n in cleaned.get("approvals", [])]
        if not cleaned["tools"]:
            cleaned["tool_choice"] = ToolChoice.AUTO
        schema = cleaned.get("response_schema")
        for name, texts in {
            "instructions": told(cleaned.get("instructions", ""), None),
            "response_schema": told("", schema),
        }.items():
            if any(map(assistants.is_refused, texts)):
                self.add_error(name, _("The moderation policy does not let a model read this."))
        nobody = "groups" in cleaned and not cleaned["groups"]
        if nobody and cleaned.get("visibility") == Visibility.GROUPS:
            self.add_error("groups", _("Choose at least one group."))
        return cleaned


def _choices(form: forms.BaseForm, name: str) -> Any:
    return form.fields[name]


def _copy(version: AssistantVersion) -> AssistantVersion:
    """For the form to write into: the stored one is compared with it, and never changed."""
    made = copy(version)
    made.pk = None
    made._state.adding = True
    return made
