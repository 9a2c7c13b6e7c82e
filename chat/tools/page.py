"""Fetch a page of a host that the operator allows."""

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from pydantic import Field

from chat.tools.base import Context
from chat.tools.functions import Arguments, tool
from chat.tools.pages.allowed import AllowList
from chat.tools.pages.fetching import PAGE_BYTES, TOTAL_S, URL_CHARS, fetch
from chat.tools.pages.readable import readable
from chat.tools.text import result_of

HTML = {"text/html", "application/xhtml+xml"}


class Where(Arguments):
    url: str = Field(max_length=URL_CHARS, description="an http:// or https:// address")


@tool(_("Fetch a page"), timeout_s=TOTAL_S + 5, offered=lambda: bool(settings.TOOL_FETCH_HOSTS))
async def fetch_page(arguments: Where, context: Context) -> str:
    """Fetch a web page and return its text. Only some hosts can be fetched here."""
    page = await fetch(arguments.url, AllowList.of(settings.TOOL_FETCH_HOSTS))
    text = readable(page.text) if page.kind in HTML else page.text
    note = f"\n[Only the first {PAGE_BYTES:,} bytes were read.]" if page.cut else ""
    return result_of(f"{page.url}\n\n{text}{note}")
