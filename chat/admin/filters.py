"""The filters beside the record's lists.

None of them lists what grows: a user or a model is typed, with what occurred lately as
suggestions, and a time is given by its first and last day. They are plain forms and links, so
they work under the strict Content-Security-Policy and without JavaScript.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from chat.admin.search import people
from chat.models import (
    Conversation,
    ErrorKind,
    Generation,
    Purpose,
    Role,
    SchemaVerdict,
    State,
    User,
    VerdictState,
)

if TYPE_CHECKING:
    from chat.admin.readonly import ReadOnlyAdmin

RECENT = 300  # rows that the suggestions are taken from
SUGGESTIONS = 20


class Filter(admin.SimpleListFilter):
    """A filter by one word, which the list's admin finds in its ``paths``."""

    def __init__(
        self,
        request: HttpRequest,
        params: dict[str, list[str]],
        model: type[Any],
        model_admin: "ReadOnlyAdmin",
    ) -> None:
        super().__init__(request, params, model, model_admin)
        self.admin = model_admin

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = (self.value() or "").replace("\0", "").strip()
        return queryset.filter(self.condition(value)) if value else queryset

    def condition(self, value: str) -> Q:
        return self.where("exact", value)

    def where(self, lookup: str, value: Any) -> Q:
        return self.admin.where(str(self.parameter_name), lookup, value)


class StateFilter(Filter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(State.choices)


class VerdictFilter(Filter):
    title = _("verdict")
    parameter_name = "verdict"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(VerdictState.choices)


class SchemaFilter(Filter):
    title = _("answer in a form")
    parameter_name = "schema"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(SchemaVerdict.choices)


class CameFilter(Filter):
    """Did it come from a page, or through the API?"""

    title = _("came")
    parameter_name = "came"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("page", _("From a page")), ("api", _("Through the API"))]

    def condition(self, value: str) -> Q:
        return self.where("isnull", value != "api")


class PurposeFilter(Filter):
    title = _("purpose")
    parameter_name = "purpose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Purpose.choices)


class RoleFilter(Filter):
    title = _("role")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Role.choices)


class BackendFilter(Filter):
    title = _("backend")
    parameter_name = "backend"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        # A verdict stays when its backend is switched off, so ours are always offered.
        names = dict.fromkeys(["local", "openai", *settings.MODERATION_BACKENDS])
        return [(name, name) for name in names]


class ErrorFilter(Filter):
    title = _("error")
    parameter_name = "error"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("any", _("Any error")), *ErrorKind.choices]

    def condition(self, value: str) -> Q:
        return self.where("gt", "") if value == "any" else self.where("exact", value)


class PresenceFilter(Filter):
    """Is a time set? ``words`` are what it is called when it is, and when it is not."""

    words: tuple[str | Promise, str | Promise]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", self.words[0]), ("no", self.words[1])]

    def condition(self, value: str) -> Q:
        present = self.where("isnull", False)
        return present if value == "yes" else ~present


class DeletedFilter(PresenceFilter):
    title = _("deletion")
    parameter_name = "deleted"
    words = _("Deleted by its owner"), _("Not deleted")


class WithheldFilter(PresenceFilter):
    title = _("withholding")
    parameter_name = "withheld"
    words = _("Withheld"), _("Not withheld")


class ReconciledFilter(PresenceFilter):
    title = _("reconciliation")
    parameter_name = "reconciled"
    words = _("Reconciled"), _("Not reconciled")


class FormFilter(Filter):
    """A filter that is typed."""

    template = "admin/chat/filters/text.html"
    label: str | Promise

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        yield {
            "name": self.parameter_name,
            "label": self.label,
            "value": self.value() or "",
            "suggestions": self.suggestions(),
            **_form(changelist, [str(self.parameter_name)]),
        }

    def suggestions(self) -> list[str]:
        """What occurred lately, the latest first."""
        raise NotImplementedError


class UserFilter(FormFilter):
    title = _("user")
    parameter_name = "user"
    label = _("Username or e-mail address")

    def condition(self, value: str) -> Q:
        # "ann" must not bring up Joanna when there is an Ann.
        exactly = User.objects.filter(Q(username__iexact=value) | Q(email__iexact=value))
        users = exactly if exactly.exists() else people(value)
        return self.where("in", users.values("pk"))

    def suggestions(self) -> list[str]:
        recent = Conversation.objects.order_by("-active_at")
        return _distinct(list(recent.values_list("owner__username", flat=True)[:RECENT]))


class ModelFilter(FormFilter):
    title = _("model")
    parameter_name = "model"
    label = _("Name of the model, or a part of it")

    def condition(self, value: str) -> Q:
        # "gpt-5" is a model and the beginning of another one's name.
        known = value in self.suggestions()
        return self.where("exact" if known else "icontains", value)

    def suggestions(self) -> list[str]:
        recent = Generation.objects.order_by("-pk")
        return _distinct(list(recent.values_list("model", flat=True)[:RECENT]))


class DateFilter(admin.ListFilter):
    """From one day to another, both included. Two bounds on a column: no scan for what occurs."""

    title = _("date")
    template = "admin/chat/filters/dates.html"
    bounds = ("since", "until")

    def __init__(
        self,
        request: HttpRequest,
        params: dict[str, list[str]],
        model: type[Any],
        model_admin: "ReadOnlyAdmin",
    ) -> None:
        super().__init__(request, params, model, model_admin)
        self.admin = model_admin
        for bound in self.bounds:
            if bound in params:
                self.used_parameters[bound] = params.pop(bound)[-1]

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.bounds)

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        yield {
            "since": self.used_parameters.get("since", ""),
            "until": self.used_parameters.get("until", ""),
            **_form(changelist, list(self.bounds)),
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Raises IncorrectLookupParameters on what is no date: the list then shows everything."""
        try:
            return self._between(queryset)
        except (ValueError, OverflowError) as error:
            raise IncorrectLookupParameters from error

    def _between(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if since := self.used_parameters.get("since"):
            queryset = queryset.filter(self.admin.where("date", "gte", _midnight(since)))
        if until := self.used_parameters.get("until"):
            after = _midnight(until) + timedelta(days=1)
            queryset = queryset.filter(self.admin.where("date", "lt", after))
        return queryset


def _midnight(day: object) -> datetime:
    return timezone.make_aware(datetime.combine(date.fromisoformat(str(day)), time.min))


def _distinct(values: list[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if value][:SUGGESTIONS]


def _form(changelist: ChangeList, own: list[str]) -> dict[str, Any]:
    """What a filter's form must carry along, and where the list is without the filter."""
    kept = {k: v for k, v in changelist.filter_params.items() if k not in own}
    return {
        "hidden": [(name, value) for name, values in kept.items() for value in values],
        "clear": changelist.get_query_string(remove=own),
        "active": len(kept) < len(changelist.filter_params),
    }
