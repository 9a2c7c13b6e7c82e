"""Which messages have all the terms; and the index's upkeep."""

from types import ModuleType
from typing import Any

from django.db import connection
from django.db.models import Q
from django.db.models.expressions import RawSQL

from chat.models import Conversation, ToolCall
from chat.search import postgres, sqlite
from chat.search.terms import Term


def matching(terms: list[Term]) -> Q:
    """The condition on messages: each term in the text, the thoughts, the title or a tool call."""
    condition = Q()
    for term in terms:
        condition &= _one(term)
    return condition


def _one(term: Term) -> Q:
    needle = term.text
    titled = Conversation.objects.filter(title__icontains=needle)
    called = ToolCall.objects.filter(
        Q(arguments__icontains=needle) | Q(result__icontains=needle) | Q(name__icontains=needle)
    )
    elsewhere = Q(conversation__in=titled.values("pk")) | Q(pk__in=called.values("message"))
    within = Q(text__icontains=needle) | Q(reasoning__icontains=needle)
    if not term.is_indexed:
        return within | elsewhere
    vendor = _vendor(connection)
    sql, parameters = vendor.found(term)
    condition = Q(pk__in=RawSQL(sql, parameters)) | elsewhere  # noqa: S611  (terms are parameters)
    if vendor.CUT_OFF:
        condition |= Q(pk__in=RawSQL(vendor.CUT_OFF, [])) & within  # noqa: S611
    return condition


def make(connection: Any) -> None:
    """Make the index where there is none, and fill it with what is there."""
    vendor = _vendor(connection)
    with connection.cursor() as cursor:
        if vendor.TABLE in connection.introspection.table_names(cursor):
            return
        for statement in (*vendor.TABLES, vendor.FILL):
            cursor.execute(statement)


def watch(connection: Any) -> None:
    """Have the triggers keep the index, after migrations."""
    vendor = _vendor(connection)
    with connection.cursor() as cursor:
        cursor.execute(vendor.COUNT)
        if cursor.fetchone()[0] < len(vendor.NO_TRIGGERS):
            for statement in vendor.TRIGGERS:
                cursor.execute(statement)


def unwatch(connection: Any) -> None:
    """Take the triggers away, before migrations.

    SQLite loses a table's triggers when a migration writes the table anew, and cannot write it
    anew while the trigger of another table names it; PostgreSQL does not change the type of a
    column that a trigger is for.
    """
    with connection.cursor() as cursor:
        for statement in _vendor(connection).NO_TRIGGERS:
            cursor.execute(statement)


def remove(connection: Any) -> None:
    with connection.cursor() as cursor:
        for statement in _vendor(connection).REMOVE:
            cursor.execute(statement)


def forget() -> None:
    """Take what was deleted out of the index's files too. Outside a transaction; takes a while.

    A deleted row is found no more at once; but the words of it stay in the index until it is
    merged (SQLite) or vacuumed (PostgreSQL).
    """
    with connection.cursor() as cursor:
        for statement in _vendor(connection).FORGET:
            cursor.execute(statement)


def _vendor(connection: Any) -> ModuleType:
    return postgres if connection.vendor == "postgresql" else sqlite
