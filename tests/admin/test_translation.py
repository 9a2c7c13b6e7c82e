"""Every word that we put on the admin's pages can be translated."""

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from tests.admin.conftest import RECORDS, Story
from tests.admin.pages import Elements, html_of, list_url, page_url

# What comes from the rows and from machines is in no language: names, texts, ids, units of rows.
DATA = re.compile(
    r"ada(@example\.org)?|Parley|root|Why tides lag|Why do tides lag the moon\?|Because.*|basins|"
    r"resonate\.|lag|python|And neap tides\?|A rude answer\.|Think of the sea bed\.|429 slow down|"
    r"small-1|big-2|title-model|rate_limited|local|openai|rules 1.*|harassment|violence|hate|"
    r"max_tokens 512, temperature 0\.7|[0-9a-f-]{12,}|UTC|[\d :.-]+UTC|"
    r"```.*|lag = 1|SHA-256|[0-9a-f]{12}…|harassment 0\.91|hate 0\.75",
    re.DOTALL,
)


@pytest.fixture
def _marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrap whatever is looked up for translation in brackets."""
    translation.gettext("warm up")
    real = translation._trans

    def gettext(message: str) -> str:
        return f"⟦{message}⟧" if message else message

    def ngettext(singular: str, plural: str, number: Any) -> str:
        return gettext(singular if number == 1 else plural)

    monkeypatch.setattr(real, "gettext", gettext)
    monkeypatch.setattr(real, "ngettext", ngettext, raising=False)
    monkeypatch.setattr(real, "pgettext", lambda context, message: gettext(message), raising=False)


def untranslated(html: str) -> list[str]:
    page = Elements(html)
    said = list(page.texts)
    for _tag, attributes in page.tags:
        said += [attributes[name] or "" for name in ("aria-label", "title") if name in attributes]
    return [
        text
        for text in said
        if re.search(r"[^\W\d_]{2}", text) and "⟦" not in text and not DATA.fullmatch(text)
    ]


@pytest.mark.usefixtures("_marked")
def test_the_transcript_can_be_translated(root: Client, story: Story) -> None:
    html = html_of(root.get(page_url(story.conversation)))
    start = html.index('<div id="content-main"')
    assert untranslated(html[start : html.index("</main>")]) == []


@pytest.mark.usefixtures("_marked")
@pytest.mark.parametrize("model", RECORDS)
def test_the_lists_can_be_translated(root: Client, story: Story, model: str) -> None:
    html = html_of(root.get(list_url(model)))
    start = html.index('<div class="module filtered" id="changelist"')
    assert untranslated(html[start : html.index("</main>")]) == []
