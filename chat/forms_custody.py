"""What reviewers submit to export transcripts, or to hold them."""

from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from chat.models import Conversation, User, VerdictState
from chat.record.export import Selection
from chat.review.pseudonyms import who_is

AS_SHOWN = _("As shown here, such as Person 3F9A-21C7.")
DAY = forms.DateInput(attrs={"type": "date"})


def person_called(name: str, *, hidden: bool) -> User | None:
    """By the name that the reviewer knows: where names are hidden, a pseudonym and no other."""
    name = name.replace("\0", "").strip()
    if hidden:
        return User.objects.filter(pk__in=who_is(name)).first()
    return User.objects.filter(username__iexact=name).first()


class ExportForm(forms.Form):
    active_from = forms.DateField(label=_("Last active from"), required=False, widget=DAY)
    active_until = forms.DateField(label=_("Last active until"), required=False, widget=DAY)
    owner = forms.CharField(label=_("Person"), required=False, max_length=150)
    verdict = forms.ChoiceField(
        label=_("With a verdict"),
        required=False,
        choices=[("", _("Any or none")), *VerdictState.choices],
    )
    purpose = forms.CharField(
        label=_("Purpose"),
        max_length=300,
        help_text=_("Why these transcripts leave Parley. It is kept in the access log."),
        error_messages={"required": _("Say what the export is for.")},
    )

    def __init__(self, *args: Any, hidden: bool, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.hidden = hidden
        if hidden:
            self.fields["owner"].help_text = AS_SHOWN

    def clean_owner(self) -> User | None:
        name = self.cleaned_data["owner"]
        if not name.strip():
            return None
        found = person_called(name, hidden=self.hidden)
        if found is None:
            raise forms.ValidationError(_("Nobody here is called that."))
        return found

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        start, end = data.get("active_from"), data.get("active_until")
        if start and end and start > end:
            self.add_error("active_until", _("This is before the first day."))
        return data

    def selection(self) -> Selection:
        data = self.cleaned_data
        return Selection(data["active_from"], data["active_until"], data["owner"], data["verdict"])


class HoldForm(forms.Form):
    """Of a person or of one conversation; ``held`` is which, once it is valid."""

    person = forms.CharField(label=_("Person"), required=False, max_length=150)
    conversation = forms.CharField(
        label=_("Conversation, instead of a person"),
        required=False,
        max_length=100,
        help_text=_("Its id, as it stands in the address of its transcript."),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=300,
        help_text=_("Such as the case it belongs to. It is kept in the access log."),
        error_messages={"required": _("Say why it must be kept.")},
    )
    held: User | Conversation

    def __init__(self, *args: Any, hidden: bool, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.hidden = hidden
        if hidden:
            self.fields["person"].help_text = AS_SHOWN

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        person, conversation = data.get("person", ""), data.get("conversation", "")
        if bool(person) == bool(conversation):
            raise forms.ValidationError(_("Name a person or a conversation, and not both."))
        found: User | Conversation | None
        if person:
            found = person_called(person, hidden=self.hidden)
            if found is None:
                self.add_error("person", _("Nobody here is called that."))
        else:
            found = _conversation(conversation)
            if found is None:
                self.add_error("conversation", _("There is no such conversation."))
        if found is not None:
            self.held = found
        return data


def _conversation(text: str) -> Conversation | None:
    try:
        return Conversation.objects.filter(pk=UUID(text.strip())).first()
    except ValueError:
        return None
