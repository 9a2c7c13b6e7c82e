"""What an assistant tells the model is judged like an input, by the backends that ask nobody.

When it is saved, so that its form can say so; and before each reply, because versions stay and the
policy, the rules and the local list change.
"""

import json
from typing import Any

from chat import answers
from chat.engine.provider import Provider
from chat.models import Direction
from chat.moderation.base import Result, ask
from chat.policy import Current
from chat.verdicts import BLOCKING

KEPT = 200  # answers: an assistant is asked again and again, and its text is long

_known: dict[tuple[str, ...], bool] = {}


def told(instructions: str, schema: dict[str, Any] | None) -> tuple[str, ...]:
    """The texts of a version that a model reads."""
    spelled = json.dumps(schema, ensure_ascii=False) if schema else ""
    return tuple(text for text in (instructions, spelled) if text)


async def is_refused(text: str, current: Current, provider: Provider) -> bool | None:
    """Would a message that says this be kept from every model? Then so is an instruction.

    None: nothing objects, and a backend could not say. That may be another time.
    """
    key = (text, current.version, *current.at_once, *current.versions.values())
    found = _known.get(key)
    if found is None:
        readable = answers.readable("", None, (), unshown=(text,))
        found = await _blocks(readable, current, provider)
        if len(_known) >= KEPT:
            _known.clear()  # while another thread may read it: views ask, too
        if found is not None:
            _known[key] = found
    return found


async def _blocks(text: str, current: Current, provider: Provider) -> bool | None:
    blocks: bool | None = False
    for name in current.at_once:
        found = await ask(current.backend(name, Direction.INPUT, provider), text)
        if not isinstance(found, Result):
            blocks = None
        elif current.policy.action(Direction.INPUT, found.categories, found.hits) in BLOCKING:
            return True
    return blocks
