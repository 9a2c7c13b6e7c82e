"""The form of a tool server.

A value of a variable or a header is never shown again: its line is there with nothing after the
name, and left like that it keeps the value.
"""

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from chat.models import ServerTransport, ToolServer
from chat.tools.servers.reach import TAKEN

if TYPE_CHECKING:
    FormBase = forms.ModelForm[ToolServer]
else:
    FormBase = forms.ModelForm

MOST_SECONDS = 600
LINES = {"rows": 4, "cols": 80, "spellcheck": "false", "autocomplete": "off"}
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
KEPT = _("A line with nothing after the name keeps the value that is stored; values are not shown.")
TAKES = _("$NAME takes the value from Parley's own environment.")


class ToolServerForm(FormBase):
    arguments = forms.CharField(
        label=_("arguments"),
        required=False,
        help_text=_("One per line."),
        widget=forms.Textarea(LINES),
    )
    environment = forms.CharField(
        label=_("environment"),
        required=False,
        help_text=format_lazy("{} {} {}", _("NAME=value, one per line."), TAKES, KEPT),
        widget=forms.Textarea(LINES),
    )
    url = forms.CharField(
        label=_("address"),
        required=False,
        max_length=500,
        help_text=_("http:// or https://, without a secret: that belongs into the headers."),
        widget=forms.TextInput({"class": "vURLField"}),
    )
    headers = forms.CharField(
        label=_("headers"),
        required=False,
        help_text=format_lazy("{} {} {}", _("Name: value, one per line."), TAKES, KEPT),
        widget=forms.Textarea(LINES),
    )

    class Meta:
        model = ToolServer
        fields = [
            "name",
            "transport",
            "command",
            "arguments",
            "environment",
            "url",
            "headers",
            "timeout_s",
            "enabled",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["arguments"] = "\n".join(map(str, self.instance.arguments))
        self.initial["environment"] = _without_values(self.instance.environment, "=")
        self.initial["headers"] = _without_values(self.instance.headers, ": ")
        if "timeout_s" in self.fields:
            self.fields["timeout_s"].validators += [
                MinValueValidator(1),
                MaxValueValidator(MOST_SECONDS),
            ]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if "__" in name or name.endswith("_"):
            raise forms.ValidationError(
                _("Two underscores divide the names of tools: none in a row, none at the end.")
            )
        return name

    def clean_arguments(self) -> list[str]:
        return [line for line in self.cleaned_data["arguments"].splitlines() if line.strip()]

    def clean_environment(self) -> dict[str, str]:
        return self._pairs("environment", "=", VARIABLE)

    def clean_headers(self) -> dict[str, str]:
        found = self._pairs("headers", ":", HEADER)
        for name, value in found.items():
            if not (value.isascii() and value.isprintable()):
                raise forms.ValidationError(
                    _("The value of %s has characters that no header can.") % name
                )
        return found

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"].strip()
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise forms.ValidationError(_("This is not an address.")) from None
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or port == 0):
            raise forms.ValidationError(_("An address begins with http:// or https:// and a host."))
        if parts.username is not None:
            raise forms.ValidationError(_("No user name and no password here; use a header."))
        return url

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        transport = data.get("transport")
        if (
            transport == ServerTransport.STDIO
            and not data.get("command")
            and "command" not in self.errors
        ):
            self.add_error("command", _("A program on this machine needs a command."))
        if transport == ServerTransport.HTTP and not data.get("url") and "url" not in self.errors:
            self.add_error("url", _("A server at an address needs the address."))
        return data

    def _pairs(self, field: str, divider: str, valid: re.Pattern[str]) -> dict[str, str]:
        stored: dict[str, str] = getattr(self.instance, field)
        found: dict[str, str] = {}
        for line in self.cleaned_data[field].splitlines():
            if not line.strip():
                continue
            name, divided, value = (part.strip() for part in line.partition(divider))
            # Errors name no value: what stands in the wrong place may be a secret.
            if not divided or not valid.fullmatch(name):
                raise forms.ValidationError(
                    _("Line %s does not begin with a name.") % (len(found) + 1)
                )
            if name in found:
                raise forms.ValidationError(_("%s is there twice.") % name)
            if not value and name not in stored:
                raise forms.ValidationError(_("%s has no value.") % name)
            found[name] = value or stored[name]
        return found


def _without_values(pairs: dict[str, str], divider: str) -> str:
    """A line per name. What names a variable of ours is no secret, and is shown."""
    return "\n".join(
        f"{name}{divider}{value if TAKEN.fullmatch(value) else ''}" for name, value in pairs.items()
    )
