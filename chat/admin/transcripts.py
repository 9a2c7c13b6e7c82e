"""Conversations and messages: what was said."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from chat.admin import search
from chat.admin.filters import (
    CameFilter,
    DateFilter,
    DeletedFilter,
    ErrorFilter,
    ModelFilter,
    RoleFilter,
    SchemaFilter,
    StateFilter,
    UserFilter,
    VerdictFilter,
    WithheldFilter,
)
from chat.admin.links import link, links
from chat.admin.readonly import ReadOnlyAdmin, exactly, when
from chat.models import Conversation, Generation, Message, Receipt, State, VerdictState
from chat.review import badges
from chat.review.badges import Badge
from chat.review.transcript import transcript
from chat.review.units import plain

EXCERPT_CHARS = 120
LAST_ACTIVE = when("active_at", _("last active"))
CREATED = when("created_at", _("created"))
CREATED_EXACTLY = exactly("created_at", _("created"))
WITHHELD_EXACTLY = exactly("withheld_at", _("withheld"))


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    change_form_template = "admin/chat/conversation/change_form.html"
    list_display = ("name", "marks", "user", LAST_ACTIVE, "message_count", "last_model")
    list_filter = (
        StateFilter,
        VerdictFilter,
        SchemaFilter,
        CameFilter,
        WithheldFilter,
        DeletedFilter,
        UserFilter,
        ModelFilter,
        DateFilter,
        ErrorFilter,
    )
    list_select_related = ("owner",)
    ordering = ("-active_at",)
    search_help_text = _("Title, text, user, model, or the id of a conversation, message or reply")
    fields = ()
    paths = {
        "state": "messages__generation__state",
        "verdict": "messages__generation__receipt__verdict",
        "schema": "messages__generation__receipt__schema_verdict",
        "came": "api_key",
        "withheld": "messages__withheld_at",
        "deleted": "deleted_at",
        "user": "owner",
        "model": "messages__generation__model",
        "date": "active_at",
        "error": "messages__generation__error_kind",
    }
    many = frozenset({"messages"})

    def rows(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        mine = Message.objects.filter(conversation=OuterRef("pk"))
        made = Generation.objects.filter(conversation=OuterRef("pk"), message__isnull=False)
        receipts = Receipt.objects.filter(generation__conversation=OuterRef("pk"))
        counted = mine.order_by().values("conversation").annotate(number=Count("pk"))
        annotated: QuerySet[Any] = queryset.annotate(
            messages_counted=Subquery(counted.values("number")),
            used_model=Subquery(made.order_by("-pk").values("model")[:1]),
            has_flagged=Exists(receipts.filter(verdict=VerdictState.FLAGGED)),
            has_withheld=Exists(mine.filter(withheld_at__isnull=False)),
            has_failed=Exists(made.filter(state=State.FAILED)),
        )
        return annotated

    def matching(self, word: str) -> Q:
        condition = (
            Q(title__icontains=word)
            | Q(owner__in=search.people(word).values("pk"))
            | Q(pk__in=search.saying(word).values("conversation"))
            | Q(pk__in=search.made_by(word).values("conversation"))
        )
        if uuid := search.exact_uuid(word):
            condition |= Q(pk=uuid)
        if number := search.exact_id(word):
            condition |= Q(pk__in=Message.objects.filter(pk=number).values("conversation"))
            condition |= Q(pk__in=Generation.objects.filter(pk=number).values("conversation"))
        return condition

    def whereabouts(self, obj: Conversation) -> tuple[Conversation, int | None]:
        return obj, None

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        conversation = context["original"]
        context["transcript"] = transcript(conversation, request.GET.dict())
        context["title"], context["subtitle"] = str(conversation), None
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description=_("conversation"), ordering="title")
    def name(self, obj: Conversation) -> str:
        return str(obj)

    @admin.display(description=_("messages"))
    def message_count(self, obj: Any) -> int:
        return obj.messages_counted or 0

    @admin.display(description=_("model"))
    def last_model(self, obj: Any) -> str:
        return obj.used_model or obj.model or badges.NOTHING

    @admin.display(description=_("marks"))
    def marks(self, obj: Any) -> str:
        found: list[Badge] = []
        if obj.has_flagged:
            found.append(badges.FLAGGED)
        if obj.has_withheld:
            found.append(badges.WITHHELD)
        if obj.has_failed:
            found.append(badges.FAILED)
        if obj.deleted_at:
            found.append(badges.DELETED)
        return badges.badges(found)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("number", CREATED, "user", "role", "excerpt", "marks", "verdict", "place")
    list_filter = (
        RoleFilter,
        StateFilter,
        VerdictFilter,
        SchemaFilter,
        CameFilter,
        WithheldFilter,
        DeletedFilter,
        UserFilter,
        ModelFilter,
        DateFilter,
        ErrorFilter,
    )
    list_select_related = ("conversation__owner", "generation__receipt", "review")
    ordering = ("-pk",)
    search_help_text = _("Text, conversation's title, user, model, or an exact id")
    fields = (
        "conversation",
        "parent",
        "role",
        CREATED_EXACTLY,
        WITHHELD_EXACTLY,
        "whole_text",
        "whole_reasoning",
        "called",
        "made_by",
        "judged",
    )
    readonly_fields = (
        CREATED_EXACTLY,
        WITHHELD_EXACTLY,
        "whole_text",
        "whole_reasoning",
        "called",
        "made_by",
        "judged",
    )
    paths = {
        "conversation": "conversation",
        "role": "role",
        "state": "generation__state",
        "verdict": "generation__receipt__verdict",
        "schema": "generation__receipt__schema_verdict",
        "came": "conversation__api_key",
        "withheld": "withheld_at",
        "deleted": "conversation__deleted_at",
        "user": "conversation__owner",
        "model": "generation__model",
        "date": "created_at",
        "error": "generation__error_kind",
    }

    def rows(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # A reply may be a megabyte; a list of fifty shows the beginnings only.
        light = queryset.defer("text", "reasoning")
        rows: QuerySet[Any] = light.annotate(beginning=Left("text", EXCERPT_CHARS + 1))
        return rows

    def matching(self, word: str) -> Q:
        condition = (
            Q(text__icontains=word)
            | Q(reasoning__icontains=word)
            | self.of_conversation(word)
            | Q(pk__in=search.made_by(word).values("message"))
        )
        if number := search.exact_id(word):
            condition |= Q(pk=number) | Q(generation=number)
        return condition

    def whereabouts(self, obj: Message) -> tuple[Conversation, int | None]:
        return obj.conversation, obj.pk

    @admin.display(description=_("text"))
    def excerpt(self, obj: Any) -> str:
        text = " ".join(obj.beginning.split())
        return Truncator(text).chars(EXCERPT_CHARS) or badges.NOTHING

    @admin.display(description=_("marks"))
    def marks(self, obj: Message) -> str:
        return badges.badges(badges.marks(obj, getattr(obj, "generation", None)))

    @admin.display(description=_("verdict"))
    def verdict(self, obj: Message) -> str:
        return badges.badges(badges.verdict_badges(getattr(obj, "generation", None)))

    @admin.display(description=_("text"))
    def whole_text(self, obj: Message) -> str:
        return plain(obj.text)

    @admin.display(description=_("reasoning"))
    def whole_reasoning(self, obj: Message) -> str:
        return plain(obj.reasoning)

    @admin.display(description=_("tool calls"))
    def called(self, obj: Message) -> str:
        calls = {"calls": obj.tool_calls.all()}
        return render_to_string("review/_calls.html", calls) if calls["calls"] else badges.NOTHING

    @admin.display(description=_("generation"))
    def made_by(self, obj: Message) -> str:
        generation = getattr(obj, "generation", None)
        return link(generation) if generation else badges.NOTHING

    @admin.display(description=_("verdicts"))
    def judged(self, obj: Message) -> str:
        return links(obj.verdicts.order_by("backend"))
