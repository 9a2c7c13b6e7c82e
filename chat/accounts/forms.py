"""allauth's forms in our words: labels instead of placeholders, the focus on what comes next."""

import unicodedata
from typing import Any

from allauth.account import forms
from django import forms as django_forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from chat.models import User

NEW_PASSWORD_HELP = _(
    "At least 8 characters. Anything goes, spaces too: a few unusual words make a good one."
)
# What phones must not capitalise or correct.
VERBATIM = {"autocapitalize": "none", "autocorrect": "off", "spellcheck": "false"}


class Polite:
    """Mixed into a form: tells browsers what its fields are, and puts the focus where it helps."""

    labels: dict[str, Any] = {}
    fields: dict[str, django_forms.Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            attrs = field.widget.attrs
            attrs.pop("placeholder", None)  # a visible label says it, and stays
            if name in {"login", "username", "email"}:
                attrs |= VERBATIM
            if attrs.get("autocomplete") == "current-password":
                field.help_text = ""  # the page has its own link for a forgotten password
            if name == "password1":
                field.help_text = NEW_PASSWORD_HELP
            if name in self.labels:
                field.label = self.labels[name]
        if not self.is_bound:  # type: ignore[attr-defined]
            self._focus(self.visible_fields()[0].name)  # type: ignore[attr-defined]

    def full_clean(self) -> None:
        super().full_clean()  # type: ignore[misc]
        if self.is_bound and self.errors:  # type: ignore[attr-defined]
            self.lead_to_error()

    def lead_to_error(self) -> None:
        """Put the focus on the first wrong field, where its error is read out."""
        visible = self.visible_fields()  # type: ignore[attr-defined]
        wrong = [field.name for field in visible if field.errors]
        if wrong:
            self._focus(wrong[0])
            return
        # An error of the whole form: a password has to be typed again in any case.
        again = [field.name for field in visible if field.widget_type == "password"]
        name = again[0] if again else visible[0].name
        self._focus(name)
        self.fields[name].widget.attrs["aria-describedby"] = "form-errors"

    def _focus(self, name: str) -> None:
        self.fields[name].widget.attrs["autofocus"] = True


class LoginForm(Polite, forms.LoginForm):  # type: ignore[misc]
    labels = {"login": _("Username or email"), "remember": _("Keep me signed in")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].widget.attrs["autocomplete"] = "username"

    def clean_login(self) -> str:
        return unicodedata.normalize("NFKC", super().clean_login())

    def user_credentials(self) -> dict[str, Any]:
        """The name once, whatever it looks like; the back end tries it as both.

        allauth gives an email address twice, as ``email`` and as ``username``. Then an address
        that has an account costs one password hash more than one that has none, and the time
        that a refusal takes says which it is.
        """
        return {
            "username": self.cleaned_data["login"],
            "password": self.cleaned_data["password"],
        }


class SignupForm(Polite, forms.SignupForm):  # type: ignore[misc]
    labels = {"password2": _("Confirm password")}
    invite = django_forms.CharField(required=False, widget=django_forms.HiddenInput)


class FirstAdministratorForm(Polite, forms.SignupForm):  # type: ignore[misc]
    labels = {"password2": _("Confirm password")}


class ChangePasswordForm(Polite, forms.ChangePasswordForm):  # type: ignore[misc]
    labels = {
        "oldpassword": _("Current password"),
        "password1": _("New password"),
        "password2": _("Confirm new password"),
    }


class SetPasswordForm(Polite, forms.SetPasswordForm):  # type: ignore[misc]
    labels = {"password1": _("New password"), "password2": _("Confirm new password")}


class ResetPasswordForm(Polite, forms.ResetPasswordForm):  # type: ignore[misc]
    pass


class ResetPasswordKeyForm(Polite, forms.ResetPasswordKeyForm):  # type: ignore[misc]
    labels = {"password1": _("New password"), "password2": _("Confirm new password")}


class ReauthenticateForm(Polite, forms.ReauthenticateForm):  # type: ignore[misc]
    pass


class PreferencesForm(django_forms.ModelForm):  # type: ignore[type-arg]
    """Off and greyed where the operator does not leave the choice."""

    class Meta:
        model = User
        fields = ["finish_when_away"]
        labels = {"finish_when_away": _("Finish my answers when I leave")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["finish_when_away"]
        grace = settings.STREAM_ABANDON_GRACE
        if grace is None:
            field.disabled = True
            field.help_text = _("Here every answer is written to its end.")
        elif not settings.STREAM_FINISH_WHEN_AWAY:
            field.disabled = True
            field.help_text = _("The operator of this server does not allow it.")
        else:
            field.help_text = ngettext(
                "Otherwise an answer ends %(seconds)d second after you closed its last page.",
                "Otherwise an answer ends %(seconds)d seconds after you closed its last page.",
                int(grace),
            ) % {"seconds": grace}
