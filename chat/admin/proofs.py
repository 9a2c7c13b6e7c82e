"""Verdicts and receipts: what was found of a reply, and the proof of what it was."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from chat.admin import search
from chat.admin.filters import (
    BackendFilter,
    DateFilter,
    ModelFilter,
    StateFilter,
    UserFilter,
    VerdictFilter,
    WithheldFilter,
)
from chat.admin.links import link
from chat.admin.readonly import ReadOnlyAdmin, exactly, lasting, when
from chat.admin.scores import scores_html
from chat.models import Conversation, Receipt, Verdict
from chat.review import badges
from chat.review.facts import proof
from chat.review.scores import scores
from chat.review.units import count

DECIDED = when("decided_at", _("decided"))
MOMENTS = (
    exactly("created_at", _("created")),
    exactly("decided_at", _("decided")),
    exactly("next_try_at", _("next try")),
)
WRITTEN = when("written_at", _("written"))
WRITTEN_EXACTLY = exactly("written_at", _("written"))
DURATIONS = (
    lasting("ttft_provider_ms", _("TTFT, provider")),
    lasting("ttft_served_ms", _("TTFT, served")),
)


@admin.register(Verdict)
class VerdictAdmin(ReadOnlyAdmin):
    list_display = ("number", "backend", "marks", "gravest", DECIDED, "user", "said", "place")
    list_filter = (
        VerdictFilter,
        BackendFilter,
        WithheldFilter,
        UserFilter,
        ModelFilter,
        DateFilter,
    )
    list_select_related = ("message__conversation__owner",)
    ordering = ("-pk",)
    search_help_text = _("Text, category, backend, conversation's title, user, or an exact id")
    fields = (
        "message",
        "backend",
        "model",
        "version",
        "state",
        "categories_scored",
        *MOMENTS,
        "tries",
    )
    readonly_fields = (*MOMENTS, "categories_scored")
    paths = {
        "conversation": "message__conversation",
        "verdict": "state",
        "backend": "backend",
        "withheld": "message__withheld_at",
        "user": "message__conversation__owner",
        "model": "message__generation__model",
        "date": "created_at",
    }

    def rows(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.defer("message__text", "message__reasoning")

    def matching(self, word: str) -> Q:
        condition = (
            Q(backend__iexact=word)
            | Q(categories__has_key=word)
            | Q(message__in=search.saying(word).values("pk"))
            | self.of_conversation(word)
            | Q(message__in=search.made_by(word).values("message"))
        )
        if number := search.exact_id(word):
            condition |= Q(pk=number) | Q(message=number)
        return condition

    def whereabouts(self, obj: Verdict) -> tuple[Conversation, int | None]:
        return obj.message.conversation, obj.message_id

    @admin.display(description=_("state"), ordering="state")
    def marks(self, obj: Verdict) -> str:
        found = [badges.badge_of(obj.state)]
        return badges.badges([*found, badges.WITHHELD] if obj.message.withheld_at else found)

    @admin.display(description=_("highest score"))
    def gravest(self, obj: Verdict) -> str:
        for category, score in scores(obj):
            return f"{category} {score:.2f}"
        return badges.NOTHING

    @admin.display(description=_("message"), ordering="message")
    def said(self, obj: Verdict) -> str:
        return link(obj.message, f"#{obj.message_id}")

    @admin.display(description=_("categories"))
    def categories_scored(self, obj: Verdict) -> str:
        return scores_html(obj)


@admin.register(Receipt)
class ReceiptAdmin(ReadOnlyAdmin):
    list_display = (
        "number",
        "marks",
        "verdict_badge",
        "fingerprint",
        "length",
        WRITTEN,
        "user",
        "place",
        "made_by",
    )
    list_filter = (
        StateFilter,
        VerdictFilter,
        WithheldFilter,
        UserFilter,
        ModelFilter,
        DateFilter,
    )
    list_select_related = ("generation__conversation__owner",)
    ordering = ("-pk",)
    search_help_text = _("SHA-256 or its beginning, text, model, title, user, or an exact id")
    fields = (
        "generation",
        "state",
        "finish_reason",
        "sha256",
        "stored_text",
        "characters",
        "verdict",
        "schema_verdict",
        "prompt_tokens",
        "completion_tokens",
        *DURATIONS,
        WRITTEN_EXACTLY,
    )
    readonly_fields = ("stored_text", *DURATIONS, WRITTEN_EXACTLY)
    paths = {
        "conversation": "generation__conversation",
        "state": "state",
        "verdict": "verdict",
        "withheld": "generation__message__withheld_at",
        "user": "generation__conversation__owner",
        "model": "generation__model",
        "date": "written_at",
    }

    def rows(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.defer("generation__error_detail", "generation__parameters")

    def matching(self, word: str) -> Q:
        condition = (
            Q(sha256__startswith=word.lower())
            | Q(generation__in=search.made_by(word).values("pk"))
            | Q(generation__message__in=search.saying(word).values("pk"))
            | self.of_conversation(word)
        )
        if number := search.exact_id(word):
            condition |= Q(pk=number) | Q(generation=number) | Q(generation__message=number)
        return condition

    def whereabouts(self, obj: Receipt) -> tuple[Conversation, int | None]:
        return obj.generation.conversation, obj.generation.message_id

    @admin.display(description=_("state"), ordering="state")
    def marks(self, obj: Receipt) -> str:
        return badges.badges([badges.badge_of(obj.state)])

    @admin.display(description=_("verdict"), ordering="verdict")
    def verdict_badge(self, obj: Receipt) -> str:
        return badges.badges([badges.badge_of(obj.verdict)])

    @admin.display(description="SHA-256", ordering="sha256")
    def fingerprint(self, obj: Receipt) -> str:
        return f"{obj.sha256[:12]}…"

    @admin.display(description=_("characters"), ordering="characters")
    def length(self, obj: Receipt) -> str:
        return count(obj.characters)

    @admin.display(description=_("generation"), ordering="generation")
    def made_by(self, obj: Receipt) -> str:
        return link(obj.generation, f"#{obj.generation_id}")

    @admin.display(description=_("stored text"))
    def stored_text(self, obj: Receipt) -> str:
        message = obj.generation.message
        return badges.badges([proof(obj, message)] if message else [])
