"""The form of a new key."""

from django import forms
from django.utils.translation import gettext_lazy as _

from chat.models import Scope

EXPIRIES = [
    ("30", _("In 30 days")),
    ("90", _("In 90 days")),
    ("365", _("In a year")),
    ("", _("Never")),
]


class ApiKeyForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=80,
        help_text=_("What it is for, so that you know later which one to revoke."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    expires = forms.ChoiceField(label=_("Expires"), choices=EXPIRIES, initial="90", required=False)
    scopes = forms.MultipleChoiceField(
        label=_("It may use"),
        choices=Scope.choices,
        initial=Scope.values,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one.")},
    )

    @property
    def days(self) -> int | None:
        given = self.cleaned_data["expires"]
        return int(given) if given else None

    @property
    def chosen(self) -> list[Scope]:
        return [Scope(value) for value in self.cleaned_data["scopes"]]
