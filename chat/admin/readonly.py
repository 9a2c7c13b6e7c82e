"""What every admin of a record shares: it is read, searched and filtered, and never written.

Nobody may add, change or delete here, superusers included; who may read is Django's own view
permission. Forms that are sent all the same are refused before anything looks at them.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from chat.admin.links import link, transcript_url
from chat.admin.search import exact_uuid, people, words
from chat.models import AccessKind, Conversation, User
from chat.record import access_log
from chat.review.badges import NOTHING
from chat.review.units import duration, minute, moment

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = admin.ModelAdmin


def when(field: str, description: Any) -> Callable[[Any], str]:
    """A list's column of a time, by which the list can be sorted."""

    @admin.display(description=description, ordering=field)
    def column(obj: Any) -> str:
        return minute(getattr(obj, field)) or NOTHING

    column.__name__ = field  # the column's CSS class
    return column


def exactly(field: str, description: Any) -> Any:
    """A time on a record's own page, to the second and with its zone."""

    @admin.display(description=description)
    def value(obj: Any) -> str:
        return moment(getattr(obj, field)) or NOTHING

    value.__name__ = field
    return value


def lasting(field: str, description: Any) -> Any:
    """A duration in milliseconds on a record's own page."""

    @admin.display(description=description)
    def value(obj: Any) -> str:
        return duration(getattr(obj, field)) or NOTHING

    value.__name__ = field
    return value


class RecordList(ChangeList):
    """A list whose rows may be loaded leaner, or with more, than the object's own page needs."""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet[Any]:
        rows = super().get_queryset(request, exclude_parameters)
        model_admin = self.model_admin
        assert isinstance(model_admin, ReadOnlyAdmin)
        return model_admin.rows(rows)


class ReadOnlyAdmin(Base):
    """A record's admin.

    ``paths`` says where a filter's word is found from this model: ``{"user": "message__owner"}``.
    A path whose first step is in ``many`` leads to several rows; it is asked in a subquery, so
    that no row is listed twice and the steps of two filters do not multiply.
    """

    actions = None
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 50  # no "Show all": transcripts are long
    change_form_template = "admin/chat/record.html"
    search_fields = ("pk",)  # shows the search box; ``matching`` does the search

    paths: Mapping[str, str] = {}
    many: frozenset[str] = frozenset()

    def rows(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The list's rows with what its columns show."""
        return queryset

    def matching(self, word: str) -> Q:
        """Which rows hold this word of a search, or are named by it."""
        raise NotImplementedError

    def whereabouts(self, obj: Any) -> tuple[Conversation, int | None]:
        """The conversation, and the message in it, that this record is about."""
        raise NotImplementedError

    def of_conversation(self, word: str) -> Q:
        """As ``matching``, by what the record's conversation is called, is owned by, or is."""
        path = self.paths["conversation"]
        condition = Q(**{f"{path}__title__icontains": word})
        condition |= Q(**{f"{path}__owner__in": people(word).values("pk")})
        if uuid := exact_uuid(word):
            condition |= Q(**{path: uuid})
        return condition

    def where(self, word: str, lookup: str, value: Any) -> Q:
        """The condition of a filter that is named by its word."""
        path = self.paths[word]
        condition = Q(**{f"{path}__{lookup}": value})
        if path.split("__", 1)[0] not in self.many:
            return condition
        return Q(pk__in=self.model._default_manager.filter(condition).values("pk"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if request.resolver_match and request.resolver_match.url_name == "autocomplete":
            raise PermissionDenied  # a search in transcripts that nobody would have on record
        for word in words(search_term):
            queryset = queryset.filter(self.matching(word))
        return queryset, False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return RecordList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        response = super().changelist_view(request, extra_context)
        if response.status_code == HTTPStatus.OK:  # else he is sent to a list that makes sense
            self._note(request, None, self._listed(request, response))
        return response

    def _listed(self, request: HttpRequest, response: HttpResponse) -> dict[str, Any]:
        """What a list that is about to be rendered shows. Of what was searched for, no word."""
        context = getattr(response, "context_data", None) or {}
        rows = context["cl"].result_list if "cl" in context else ()
        found: dict[str, Any] = {
            "list": str(self.opts.model_name),
            "shown": [str(row.pk) for row in rows],
        }
        if words := request.GET.get("q"):
            found["query"] = access_log.fingerprint(words)
        return found

    def _note(
        self, request: HttpRequest, conversation: Conversation | None, detail: dict[str, Any]
    ) -> None:
        """Who reads here is on record, too."""
        if not self.has_view_permission(request):
            return  # he is about to be told so
        assert isinstance(request.user, User)
        access_log.note(request.user, AccessKind.ADMIN, conversation=conversation, detail=detail)

    def history_view(self, *args: Any, **kwargs: Any) -> Any:
        raise PermissionDenied  # nobody writes here, so there is none; the page has titles

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        conversation, message_id = self.whereabouts(context["original"])
        record = {str(self.opts.model_name): str(context["original"].pk)}
        self._note(request, conversation, record)
        context["transcript_url"] = transcript_url(conversation.pk, message_id)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description=_("no."), ordering="pk")
    def number(self, obj: Model) -> str:
        return f"#{obj.pk}"

    @admin.display(description=_("conversation"))
    def place(self, obj: Any) -> str:
        return link(self.whereabouts(obj)[0])

    @admin.display(description=_("user"))
    def user(self, obj: Any) -> str:
        owner = self.whereabouts(obj)[0].owner
        return link(owner, owner.get_username())
