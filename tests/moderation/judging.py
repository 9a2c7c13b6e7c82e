"""What a judge model answers, for tests that script one."""

import json
import re
from typing import Any

from chat.moderation.judge import CATEGORIES
from tests.fake_provider.recorded import Request


def nonce_of(request: Request) -> str:
    """The nonce, which stands in the instructions alone."""
    system = request.body["messages"][0]["content"]
    (found,) = re.findall(r"must be the string (\w+)\.", system)
    return str(found)


def text_of(request: Request) -> str:
    return str(json.loads(request.body["messages"][-1]["content"])["text"])


def scores(**given: float) -> dict[str, float]:
    return dict.fromkeys(CATEGORIES, 0.0) | {k.replace("_", "-"): v for k, v in given.items()}


def answer(request: Request, **given: Any) -> str:
    """An honest answer with these scores."""
    return json.dumps({"nonce": nonce_of(request), "scores": scores(**given)})
