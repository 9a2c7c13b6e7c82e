"""What reviewers and readers submit: the queue's filters, a purpose, a decision, a report."""

import re
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.db import models
from django.utils.translation import gettext_lazy as _

from chat.models import (
    Assistant,
    Complaint,
    DecisionKind,
    ErrorKind,
    Opinion,
    Role,
    SchemaVerdict,
    State,
    VerdictState,
    Visibility,
)
from chat.search.terms import TYPED_MAX_CHARS

NOTE_MAX_CHARS = 4_000
PURPOSE_MAX_CHARS = 240
CHOICES_MAX = 200  # assistants in the filter
PASSAGE = re.compile(r"\s*(\d{1,9})\s*[-–]\s*(\d{1,9})\s*")


class Order(models.TextChoices):
    NEWEST = "newest", _("Newest first")
    OLDEST = "oldest", _("Longest waiting first")
    SCORE = "score", _("Highest score first")


class Direction(models.TextChoices):
    USER = Role.USER, _("What people write")
    REPLY = Role.ASSISTANT, _("Replies")


class Said(models.TextChoices):
    """What people said of a reply."""

    GOOD = Opinion.GOOD, _("Good reply")
    BAD = Opinion.BAD, _("Bad reply")
    REPORTED = "reported", _("Reported")


class Reason(models.TextChoices):
    """Why a message came into the queue."""

    FLAGGED = "flagged", _("Flagged")
    REPORTED = "reported", _("Reported")
    UNCLEAR = "unclear", _("No verdict")
    SAMPLED = "sampled", _("Sample")
    REPEAT = "repeat", _("Repeats what was redacted")


def _any(choices: list[Any]) -> list[Any]:
    return [("", _("Any")), *choices]


def _text(label: Any, **more: Any) -> forms.CharField:
    return forms.CharField(label=label, required=False, max_length=200, **more)


def _choice(label: Any, choices: list[Any]) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, required=False, choices=_any(choices))


def _date(label: Any) -> forms.DateField:
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, required=False, widget=widget)


class FilterForm(forms.Form):
    """The queue's filters, all of which have to hold. What is not understood does not filter.

    Where names are ``hidden`` nothing is offered that tells who a pseudonym is: no groups, and no
    assistants but those that everybody has.
    """

    q = forms.CharField(
        required=False,
        widget=forms.TextInput(
            attrs={"type": "search", "placeholder": _('Words, "a phrase", begin*')}
        ),
    )
    order = forms.ChoiceField(label=_("Order"), required=False, choices=Order.choices)
    direction = _choice(_("Direction"), Direction.choices)
    reason = _choice(_("Reason"), Reason.choices)
    state = _choice(_("Reply"), State.choices)
    verdict = _choice(_("Verdict"), VerdictState.choices)
    category = _text(_("Category"), widget=forms.TextInput(attrs={"list": "categories"}))
    score = forms.FloatField(
        label=_("Score, at least"),
        required=False,
        min_value=0,
        max_value=1,
        widget=forms.NumberInput(attrs={"step": "0.05"}),
    )
    user = _text(_("User"))
    group = forms.ModelChoiceField(Group.objects.none(), label=_("Group"), required=False)
    assistant = forms.ChoiceField(label=_("Assistant"), required=False)
    model = _text(_("Model"))
    tool = _text(_("Tool"))
    error = _choice(_("Error"), [("any", _("Any error")), *ErrorKind.choices])
    feedback = _choice(_("Feedback"), Said.choices)
    schema = _choice(_("Schema verdict"), SchemaVerdict.choices)
    since = _date(_("From"))
    until = _date(_("To, included"))

    def __init__(self, *args: Any, hidden: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", "auto_id": "filter-%s", **kwargs})
        self.fields["group"].queryset = Group.objects.order_by("name")  # type: ignore[attr-defined]
        self.fields["group"].empty_label = _("Any")  # type: ignore[attr-defined]
        assistants = Assistant.objects.filter(newest__isnull=False).order_by("newest__name", "pk")
        if hidden:
            del self.fields["group"]
            assistants = assistants.filter(visibility=Visibility.EVERYONE)
        named = assistants.values_list("pk", "newest__name")[:CHOICES_MAX]
        self.fields["assistant"].choices = _any([(str(pk), name) for pk, name in named])  # type: ignore[attr-defined]

    def clean_q(self) -> str:
        return str(self.cleaned_data["q"])[:TYPED_MAX_CHARS]

    @property
    def wanted(self) -> dict[str, Any]:
        """What was chosen, by name."""
        self.is_valid()
        return {k: v for k, v in self.cleaned_data.items() if v not in (None, "")}

    @property
    def chosen(self) -> list[tuple[str, Any, str]]:
        """The filters that are on, beside the search: name, label, and the choice in words."""
        found = []
        for name, value in self.wanted.items():
            if name not in ("q", "order"):
                field = self.fields[name]
                words = dict(getattr(field, "choices", ())).get(value, value)
                found.append((name, field.label, str(words)))
        return found


class Purpose(models.TextChoices):
    """Why a transcript is opened."""

    QUEUE = "queue", _("It is in the review queue")
    COMPLAINT = "complaint", _("A complaint or an incident")
    REQUEST = "request", _("Its author asked for it")
    LEGAL = "legal", _("A legal or compliance request")
    QUALITY = "quality", _("A check of quality")


class PurposeForm(forms.Form):
    reason = forms.ChoiceField(
        label=_("Purpose"),
        required=False,
        choices=Purpose.choices,
        widget=forms.RadioSelect,
    )
    note = forms.CharField(
        label=_("In your own words"),
        required=False,
        max_length=PURPOSE_MAX_CHARS,
        help_text=_("Kept for good, so quote nothing from the transcript here."),
    )
    at = forms.IntegerField(required=False, widget=forms.HiddenInput, max_value=2**63 - 1)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if not given.get("reason") and not str(given.get("note", "")).strip():
            raise forms.ValidationError(_("Choose a purpose or write one."))
        return given

    @property
    def purpose(self) -> str:
        """One line, for the access log."""
        reason, note = self.cleaned_data["reason"], self.cleaned_data["note"].strip()
        label = str(Purpose(reason).label) if reason else ""
        return f"{label}: {note}" if label and note else label or note


class DecisionForm(forms.Form):
    """``passages`` of a redaction are written ``120-144, 300-312``; ``words`` one in each line."""

    kind = forms.ChoiceField(choices=DecisionKind.choices)
    note = forms.CharField(required=False, max_length=NOTE_MAX_CHARS)
    passages = forms.CharField(required=False, max_length=2_000)
    words = forms.CharField(required=False, max_length=2_000)
    seen = forms.IntegerField(min_value=0, max_value=2**63 - 1)

    def clean_passages(self) -> list[tuple[int, int]]:
        given = str(self.cleaned_data["passages"])
        found = []
        for piece in filter(str.strip, given.split(",")):
            match = PASSAGE.fullmatch(piece)
            if match is None:
                raise forms.ValidationError(
                    _("Write passages as numbers of characters: 120-144, 300-312.")
                )
            found.append((int(match[1]), int(match[2])))
        return found

    def clean_words(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["words"].splitlines() if line.strip()]


class AnswerForm(forms.Form):
    """To another reviewer's proposal."""

    answer = forms.ChoiceField(choices=[("confirm", ""), ("decline", "")])
    note = forms.CharField(required=False, max_length=NOTE_MAX_CHARS)
    seen = forms.IntegerField(min_value=0, max_value=2**63 - 1)


class ReportForm(forms.Form):
    complaint = forms.ChoiceField(
        label=_("What is wrong with it?"), choices=Complaint.choices, widget=forms.RadioSelect
    )
    note = forms.CharField(
        label=_("What should a reviewer know? (optional)"),
        required=False,
        max_length=NOTE_MAX_CHARS,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
