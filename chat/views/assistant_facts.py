"""What a page says of an assistant's version, and of what is different in it."""

import difflib
from dataclasses import dataclass, field
from typing import Literal

from django.utils.translation import gettext as _

from chat import forms_assistants
from chat.assistants import CONTENT, changed
from chat.forms_schema import written
from chat.models import AssistantVersion, ToolChoice

# More lines than anybody compares by eye; beyond, comparing takes time by their square.
COMPARED_LINES = 2_000
LONG = ("instructions", "response_schema")


@dataclass(frozen=True, slots=True)
class Line:
    kind: Literal["same", "gone", "new", "skipped"]
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is different: before and after, or for long ones the lines."""

    label: str
    before: str = ""
    after: str = ""
    lines: list[Line] = field(default_factory=list)


def facts(version: AssistantVersion) -> list[tuple[str, str]]:
    """What is set besides the long texts, as (label, value)."""
    short = (name for name in CONTENT if name not in (*LONG, "name", "description"))
    shown = ((_label(name), _shown(version, name)) for name in short)
    return [(label, value) for label, value in shown if value]


def schema_text(version: AssistantVersion) -> str:
    return written(version.response_schema)


def changes(old: AssistantVersion, new: AssistantVersion) -> list[Change]:
    """What makes ``new`` another version than ``old``."""
    return [_change(name, old, new) for name in changed(old, new)]


def _change(name: str, old: AssistantVersion, new: AssistantVersion) -> Change:
    before, after = _shown(old, name), _shown(new, name)
    if name in LONG and before and after:
        lines = _compared(before.splitlines(), after.splitlines())
        if lines:
            return Change(_label(name), lines=lines)
    nothing = _("nothing")
    return Change(_label(name), before or nothing, after or nothing)


def _compared(before: list[str], after: list[str]) -> list[Line]:
    """The lines that are different with three around them; none if there are too many."""
    if max(len(before), len(after)) > COMPARED_LINES:
        return []
    kinds: dict[str, Literal["same", "gone", "new"]] = {" ": "same", "-": "gone", "+": "new"}
    found: list[Line] = []
    for line in list(difflib.unified_diff(before, after, lineterm="", n=3))[2:]:
        if line.startswith("@@"):
            if found:
                found.append(Line("skipped", "…"))
        else:
            found.append(Line(kinds[line[0]], line[1:]))
    return found


def _label(name: str) -> str:
    labels = {
        "approvals": _("Asks before it uses"),
        "tool_choice": _("Uses tools"),
        "top_p": _("Top p"),
    }
    verbose = str(AssistantVersion._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
    return labels.get(name) or verbose[:1].upper() + verbose[1:]


def _shown(version: AssistantVersion, name: str) -> str:
    value = getattr(version, name)
    if name in ("tools", "approvals"):
        known = forms_assistants.tools_to_choose()
        return ", ".join(str(known[tool].title) if tool in known else tool for tool in value)
    if name == "tool_choice":
        return str(ToolChoice(value).label) if version.tools else ""
    if name == "response_schema":
        return written(value)
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)
