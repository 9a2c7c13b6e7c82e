"""Assistants and all their versions, to be read: what a transcript ran with stands here.

Their owners change them, on pages of their own. Who may change those for everyone can archive one
here whose owner does not, or is no longer there.
"""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from chat.admin.links import link
from chat.admin.readonly import exactly, when
from chat.admin.search import exact_id, people, words
from chat.forms_schema import written
from chat.models import Assistant, AssistantVersion
from chat.models.assistants import AssistantQuerySet
from chat.review import badges

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Assistant]
    Inline = admin.StackedInline[AssistantVersion, Assistant]
else:
    Base = admin.ModelAdmin
    Inline = admin.StackedInline

CREATED = when("created_at", _("created"))
ARCHIVED = when("archived_at", _("archived"))
MOMENTS = (exactly("created_at", _("created")), exactly("archived_at", _("archived")))
SAVED = exactly("created_at", _("saved"))


class ReadOnly:
    """Nobody writes here, superusers included."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class VersionInline(ReadOnly, Inline):
    model = AssistantVersion
    fk_name = "assistant"
    ordering = ("-number",)
    extra = 0
    fields = (
        "name",
        "description",
        "instructions",
        "model",
        "parameters",
        "tools_given",
        "approvals_given",
        "tool_choice",
        "schema",
        "made_by",
        SAVED,
    )
    readonly_fields = ("parameters", "tools_given", "approvals_given", "schema", SAVED)

    @admin.display(description=_("parameters"))
    def parameters(self, obj: AssistantVersion) -> str:
        return ", ".join(f"{name} {value}" for name, value in obj.given().items()) or badges.NOTHING

    @admin.display(description=_("tools"))
    def tools_given(self, obj: AssistantVersion) -> str:
        return ", ".join(obj.tools) or badges.NOTHING

    @admin.display(description=_("tools that ask first"))
    def approvals_given(self, obj: AssistantVersion) -> str:
        return ", ".join(obj.approvals) or badges.NOTHING

    @admin.display(description=_("response schema"))
    def schema(self, obj: AssistantVersion) -> str:
        return written(obj.response_schema) or badges.NOTHING


@admin.register(Assistant)
class AssistantAdmin(ReadOnly, Base):
    actions = ("archive",)
    list_display = ("__str__", "user", "visibility", "version", CREATED, ARCHIVED)
    list_filter = ("visibility", ("archived_at", admin.EmptyFieldListFilter))
    list_select_related = ("newest", "owner")
    ordering = ("-pk",)
    search_fields = ("pk",)  # shows the search box; ``get_search_results`` does the search
    search_help_text = _("Name, instructions, user, or an exact id")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    fields = ("owner", "visibility", "groups", *MOMENTS)
    readonly_fields = MOMENTS
    inlines = (VersionInline,)

    def has_archive_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.change_assistant")

    @admin.action(description=_("Archive the selected assistants"), permissions=["archive"])
    def archive(self, request: HttpRequest, queryset: AssistantQuerySet) -> None:
        assert request.user.pk is not None
        archived = list(queryset.present().select_related("newest"))
        queryset.present().update(archived_at=timezone.now())
        if archived:
            LogEntry.objects.log_actions(request.user.pk, archived, CHANGE, str(_("Archived.")))
        text = ngettext(
            "%(count)d assistant is archived.", "%(count)d are archived.", len(archived)
        )
        self.message_user(request, text % {"count": len(archived)})

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        for word in words(search_term):
            said = Q(name__icontains=word) | Q(instructions__icontains=word)
            versions = AssistantVersion.objects.filter(said).values("assistant")
            condition = Q(pk__in=versions) | Q(owner__in=people(word).values("pk"))
            if number := exact_id(word):
                condition |= Q(pk=number)
            queryset = queryset.filter(condition)
        return queryset, False

    @admin.display(description=_("user"), ordering="owner__username")
    def user(self, obj: Assistant) -> str:
        return link(obj.owner, obj.owner.get_username())

    @admin.display(description=_("version"), ordering="newest__number")
    def version(self, obj: Assistant) -> str:
        return str(obj.newest.number) if obj.newest else badges.NOTHING
