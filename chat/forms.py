"""What people submit, bounded and checked before it reaches an action."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from chat import services
from chat.models import Conversation
from chat.models.conversation import TITLE_CHARS
from chat.models.parameters import NAMES


class EditForm(forms.Form):
    """What a person says. ``key`` makes a repeated submit harmless."""

    text = forms.CharField(
        strip=False,
        error_messages={"required": _("Write a message first.")},
    )
    key = forms.CharField(validators=[RegexValidator(r"^[\w-]{8,64}$")])

    def clean_text(self) -> str:
        # Browsers submit line breaks as CRLF whatever was typed.
        text = str(self.cleaned_data["text"]).replace("\r\n", "\n").strip("\n")
        if not text.strip():
            raise forms.ValidationError(_("Write a message first."))
        limit = settings.MESSAGE_MAX_CHARS
        if len(text) > limit:
            raise forms.ValidationError(
                _("Too long: %(length)s of at most %(limit)s characters.")
                % {"length": f"{len(text):,}", "limit": f"{limit:,}"}
            )
        return text


class SendForm(EditForm):
    """The composer. ``new`` is the ticket of a conversation that is not written yet.

    ``assistant`` goes with the first message of a conversation, if one was chosen.
    """

    new = forms.CharField(required=False, max_length=300)
    assistant = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)


class RenameForm(forms.Form):
    title = forms.CharField(label=_("Title"), max_length=TITLE_CHARS)


class ParametersForm(forms.ModelForm):  # type: ignore[type-arg]
    """Model and parameters, bounded; empty leaves them to the next in line."""

    model = forms.ChoiceField(label=_("Model"), required=False)

    class Meta:
        fields: tuple[str, ...] = ("model", *NAMES)
        labels = {
            "temperature": _("Temperature"),
            "top_p": _("Top p"),
            "max_tokens": _("Max tokens"),
        }
        help_texts = {
            "temperature": _("0 to 2. Lower is more predictable."),
            "top_p": _("0 to 1. Lower keeps to the likelier words."),
            "max_tokens": _("The most that one reply may have."),
        }
        widgets: dict[str, forms.Widget] = {
            "temperature": forms.NumberInput(attrs={"step": "0.1", "min": 0, "max": 2}),
            "top_p": forms.NumberInput(attrs={"step": "0.05", "min": 0, "max": 1}),
            "max_tokens": forms.NumberInput(attrs={"min": 1}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        names = services.model_names()
        chosen = self.instance.model
        if chosen and chosen not in names:
            names = [*names, chosen]  # no longer listed, but what this has used
        model = self.default_model()
        default = _("Default (%(model)s)") % {"model": model} if model else _("Default")
        field = self.fields["model"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", default), *((name, name) for name in names)]
        self.fields["max_tokens"].widget.attrs["max"] = settings.REPLY_MAX_TOKENS

    def default_model(self) -> str:
        return services.default_model()

    def clean_max_tokens(self) -> int | None:
        value: int | None = self.cleaned_data["max_tokens"]
        limit = settings.REPLY_MAX_TOKENS
        if value is not None and value > limit:
            raise forms.ValidationError(
                _("At most %(limit)s.") % {"limit": f"{limit:,}"}, code="max_value"
            )
        return value


class SettingsForm(ParametersForm):
    """A conversation's model and its parameters."""

    class Meta(ParametersForm.Meta):
        model = Conversation

    def default_model(self) -> str:
        assistant = self.instance.assistant
        preset = assistant.newest.model if assistant and assistant.newest else ""
        return preset or super().default_model()
