"""Fields of our own."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class DocumentField(models.JSONField):
    """JSON that keeps the order of its members, as PostgreSQL's jsonb does not.

    The order of a schema's properties is the order in which a model writes them. Not for lookups.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        return "json" if connection.vendor == "postgresql" else super().db_type(connection)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if not isinstance(value, str):
            return value  # psycopg has read it
        return super().from_db_value(value, expression, connection)

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        if connection.vendor == "postgresql" and isinstance(value, dict | list):
            from psycopg.types.json import Json

            return Json(value)  # Django's own Jsonb would sort them on the way
        return super().get_db_prep_value(value, connection, prepared)
