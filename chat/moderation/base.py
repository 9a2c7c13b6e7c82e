"""What every moderation backend gives and raises. Knows no Django.

ModerationUnavailable
    The service cannot answer now (network, rate limit, 5xx). The verdict stays pending and the
    sweeper asks again.
ModerationUnclear
    There was an answer, and no verdict in it. Asking again would not help: a person has to look.

``ask`` turns whatever else a backend raises into an ``Unclear``: nothing that a model or a person
writes may keep a reply from its receipt.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

logger = structlog.get_logger()

MOST_SPANS = 50  # in one verdict; a reviewer sees from fewer what it is about
ERROR_CHARS = 200

Span = tuple[int, int, str]


class ModerationUnavailable(Exception):
    """The backend cannot answer now; ask again later."""


class ModerationUnclear(Exception):
    """The backend has answered without a verdict; its words are for the operator."""


@dataclass(frozen=True, slots=True)
class Result:
    """One backend's opinion of one text.

    `categories` maps a name (OpenAI's names, "profanity", and the operator's) to a score of 0..1
    and holds only the non-zero ones. `hits` are those among them that the backend objects to, and
    `flagged` says whether there is one: a category may be present and the text not flagged, as weak
    evidence. `spans` are passages of the judged text: start, end, category.
    """

    backend: str
    model: str
    version: str
    flagged: bool
    categories: dict[str, float]
    hits: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Unclear:
    """No verdict could be had, and none will be: ``reason`` says why."""

    backend: str
    version: str
    reason: str


class Backend(Protocol):
    name: str
    version: str
    """Of what it goes by, where that is known without asking; else empty."""

    async def moderate(self, text: str) -> Result:
        """Raises ModerationUnavailable when the service cannot answer, or ModerationUnclear."""
        ...


async def ask(backend: Backend, text: str) -> Result | Unclear:
    """The backend's opinion, or that it has none.

    Raises:
        ModerationUnavailable: ask again later.
    """
    try:
        return await backend.moderate(text)
    except ModerationUnavailable:
        raise
    except ModerationUnclear as error:
        reason = str(error)
    except Exception as error:
        logger.exception("moderation_failed", backend=backend.name)
        reason = type(error).__name__
    return Unclear(backend.name, backend.version, reason[:ERROR_CHARS])


def joined(results: Iterable[tuple[int, Result]]) -> Result:
    """One result for the pieces of a text, each with the offset at which it begins."""
    (first_at, first), *others = results
    scores = dict(first.categories)
    hits = dict.fromkeys(first.hits)
    spans = list(_moved(first, first_at))
    for at, other in others:
        for name, score in other.categories.items():
            scores[name] = max(scores.get(name, 0.0), score)
        hits |= dict.fromkeys(other.hits)
        spans += _moved(other, at)
    return replace(
        first,
        flagged=bool(hits),
        categories=scores,
        hits=tuple(hits),
        spans=tuple(dict.fromkeys(spans))[:MOST_SPANS],
    )


def _moved(result: Result, by: int) -> Iterator[Span]:
    return ((start + by, end + by, category) for start, end, category in result.spans)
