"""The admin's pages: where they are, and what a test reads off them."""

from html.parser import HTMLParser
from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.urls import reverse


def list_url(model: str) -> str:
    return reverse(f"admin:chat_{model}_changelist")


def page_url(obj: Any) -> str:
    return reverse(f"admin:chat_{obj._meta.model_name}_change", args=[obj.pk])


def listed(client: Client, model: str, /, **query: str) -> set[Any]:
    """The keys of the rows that a list shows."""
    response = client.get(list_url(model), query)
    assert response.status_code == 200, response.headers.get("Location")
    return {row.pk for row in response.context["cl"].result_list}


def html_of(response: HttpResponse) -> str:
    assert response.status_code == 200
    return response.content.decode()


class Elements(HTMLParser):
    """Every start tag of a page with its attributes, and every piece of text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]
