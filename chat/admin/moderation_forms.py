"""The forms of a rule and of the policy: what cannot be applied is refused with a reason."""

import re
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from chat.models import Direction, ModerationRule, PolicyRule, RuleKind
from chat.moderation import credentials, operator, personal
from chat.moderation.judge import CATEGORIES
from chat.moderation.words import TERM_CHARS

if TYPE_CHECKING:
    RuleBase = forms.ModelForm[ModerationRule]
    PolicyBase = forms.ModelForm[PolicyRule]
else:
    RuleBase = PolicyBase = forms.ModelForm

CATEGORY = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*")
TRY_CHARS = 50_000
LINES = {"rows": 8, "cols": 80, "spellcheck": "false", "autocomplete": "off"}
KNOWN = ", ".join((*CATEGORIES, "profanity"))


def _category(given: str) -> str:
    name = given.strip().casefold()
    if name and not CATEGORY.fullmatch(name):
        raise forms.ValidationError(
            _("A category is small letters, digits, - and _, with / before a part of it.")
        )
    return name


class ModerationRuleForm(RuleBase):
    pattern = forms.CharField(
        label=_("What to look for"),
        required=False,
        strip=False,
        widget=forms.Textarea(LINES),
        help_text=format_lazy(
            "{} {} {} {}",
            _("Words or phrases, one in each line; disguises are undone."),
            _("Or one regular expression in RE2's syntax, (?i) in front for any case."),
            format_lazy(
                _("Or kinds of personal data ({}); empty: all."), ", ".join(personal.KINDS)
            ),
            format_lazy(_("Or kinds of secrets ({}); empty: all."), ", ".join(credentials.KINDS)),
        ),
    )

    class Meta:
        model = ModerationRule
        fields = ["name", "kind", "pattern", "category", "direction", "score", "enabled", "note"]
        help_texts = {
            "category": _("What it is found as; the policy says what is done about it."),
            "direction": _("Empty: both."),
            "score": _("Above 0, up to 1."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "score" in self.fields:
            self.fields["score"].validators += [MinValueValidator(0.01), MaxValueValidator(1)]

    def clean_category(self) -> str:
        return _category(self.cleaned_data["category"])

    def clean_pattern(self) -> str:
        pattern: str = self.cleaned_data["pattern"].replace("\r\n", "\n")
        if len(pattern) > operator.RULE_CHARS:
            raise forms.ValidationError(
                _("This is longer than %s characters; make two rules of it.") % operator.RULE_CHARS
            )
        return pattern

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if "pattern" in data and "kind" in data:
            problem = _problem(data["kind"], data["pattern"])
            if problem:
                self.add_error("pattern", problem)
        return data


def _problem(kind: str, pattern: str) -> str:
    """Why this cannot be looked for; empty when it can."""
    empty = not pattern.strip()
    match kind:
        case RuleKind.TERM:
            return str(_("Write at least one word.")) if empty else _problem_of_terms(pattern)
        case RuleKind.PATTERN:
            if empty:
                return str(_("Write a regular expression."))
            return _problem_of_expression(pattern)
        case _:
            try:
                operator.kinds_of(operator.Rule("", kind, pattern, ""))
            except operator.BadRule as error:
                return str(_("There is no such kind: %s.") % str(error).partition(": ")[2])
    return ""


def _problem_of_terms(pattern: str) -> str:
    for number, line in enumerate(pattern.split("\n"), start=1):
        if len(line.strip()) > TERM_CHARS:
            text = _("Line %(line)s is longer than %(most)s characters.")
            return str(text % {"line": number, "most": TERM_CHARS})
    return ""


def _problem_of_expression(pattern: str) -> str:
    if len(pattern) > operator.PATTERN_CHARS:
        return str(_("An expression has at most %s characters.") % operator.PATTERN_CHARS)
    try:
        compiled = operator.expression(pattern)
    except operator.BadRule as error:
        return str(_("The expression cannot be used: %s.") % error)
    if compiled.search("") is not None:
        return str(_("The expression matches an empty text, and so every one."))
    return ""


class PolicyRuleForm(PolicyBase):
    class Meta:
        model = PolicyRule
        fields = ["direction", "category", "action", "threshold"]
        help_texts = {
            "category": format_lazy(
                _("Empty: every category without a rule of its own. Known: {}, and your rules'."),
                KNOWN,
            ),
            "action": format_lazy(
                "{} {} {} {}",
                _("Allow: nothing is done."),
                _("Flag: it stays, and a reviewer looks at it."),
                _("Withhold: a notice in its place, and no model reads it."),
                _(
                    "Stop: a message is not answered; a reply is withheld, and ends before a tool"
                    " gets what is stopped, or where it is if MODERATION_STREAM_CHARS has it"
                    " checked while it is written."
                ),
            ),
            "threshold": _("From 0 to 1. Empty: from where the backend itself objects."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "threshold" in self.fields:
            self.fields["threshold"].validators += [MinValueValidator(0.01), MaxValueValidator(1)]

    def clean_category(self) -> str:
        return _category(self.cleaned_data["category"])


class TryForm(forms.Form):
    """A text to be tried; its fields stand in the form of a rule, too, so they have a prefix."""

    text = forms.CharField(
        label=_("Text"),
        max_length=TRY_CHARS,
        strip=False,
        widget=forms.Textarea({"rows": 5, "cols": 80}),
        help_text=_("It is judged and forgotten: nothing of it is stored."),
    )
    direction = forms.ChoiceField(label=_("As"), choices=Direction.choices)
