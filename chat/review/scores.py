"""A verdict's categories with their scores, the highest first."""

from typing import Any

from chat.models import Verdict


def scores(verdict: Verdict) -> list[tuple[str, float]]:
    """Only what has a number: the categories come from a service outside."""
    given: Any = verdict.categories
    if not isinstance(given, dict):
        return []
    numbers = [(str(k), float(v)) for k, v in given.items() if isinstance(v, int | float)]
    return sorted(numbers, key=lambda score: -score[1])
