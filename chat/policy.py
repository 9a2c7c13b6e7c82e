"""What an operator has set about moderation, as one frozen value. Synchronous: see chat.database.

Loaded with every message rather than kept: two small tables, and a change holds at once.
"""

from dataclasses import dataclass
from functools import cached_property

from django.conf import settings

from chat.engine.provider import Provider
from chat.models import Action, ModerationRule, PolicyRule
from chat.moderation import local, operator, registry
from chat.moderation.base import Backend
from chat.moderation.policy import Policy
from chat.moderation.policy import PolicyRule as Rule

RULES = operator.NAME


@dataclass(frozen=True)
class Current:
    """The policy, the operator's enabled rules, and the backends that are to see every message."""

    policy: Policy
    rules: tuple[operator.Rule, ...]
    backends: tuple[str, ...]

    @cached_property
    def version(self) -> str:
        return self.policy.version

    @property
    def at_once(self) -> tuple[str, ...]:
        """The backends that ask nobody."""
        return tuple(name for name in self.backends if name in registry.AT_ONCE)

    @property
    def remote(self) -> tuple[str, ...]:
        return tuple(name for name in self.backends if name not in registry.AT_ONCE)

    def backend(self, name: str, direction: str, provider: Provider) -> Backend:
        """The backend of this name for what goes this way.

        Raises:
            KeyError: there is none.
        """
        if name == RULES:
            return operator.RulesBackend(self.rules, direction)
        return registry.backend(name, provider)

    @cached_property
    def versions(self) -> dict[str, str]:
        """Of the backends that ask nobody: a verdict with another one is out of date."""
        return {local.NAME: local.VERSION, RULES: operator.version(self.rules)}


NOTHING_SET = Current(Policy(), (), ())


def current() -> Current:
    """What holds now."""
    rows = PolicyRule.objects.order_by("direction", "category")
    given = rows.values_list("direction", "category", "action", "threshold")
    own = ModerationRule.objects.filter(enabled=True).order_by("pk")
    rules = own.values_list("name", "kind", "pattern", "category", "direction", "score")
    policy = Policy(
        tuple(Rule(*row) for row in given),
        default_input=Action.FLAG,
        default_output=settings.MODERATION_ACTION,
    )
    applied = tuple(operator.Rule(*row) for row in rules)
    return Current(policy, applied, _names(bool(applied)))


def backends() -> tuple[str, ...]:
    """The names of the backends that see every message, without loading what they go by."""
    return _names(ModerationRule.objects.filter(enabled=True).exists())


def _names(has_rules: bool) -> tuple[str, ...]:
    named = tuple(dict.fromkeys(settings.MODERATION_BACKENDS))
    return (*named, RULES) if has_rules else named
