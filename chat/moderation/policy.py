"""What is done about what a backend found. Pure; ``chat.policy`` reads it from the database.

Of the rules for one direction the most specific one counts: "violence/graphic" before "violence"
before the one for every category. A category that no rule covers is dealt with as the defaults say
if the backend objects to it. The gravest action wins, over categories and over backends.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass

GRAVITY = ("allow", "flag", "withhold", "stop")
INPUT, OUTPUT = "input", "output"
# Who addresses the judge wants something, but has done nothing yet that a reader must not see.
ONLY_FLAGGED = frozenset({"prompt_injection"})


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """As ``chat.models.PolicyRule``."""

    direction: str
    category: str
    action: str
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules, and what is done by ``default`` about what an input or an output is hit for."""

    rules: tuple[PolicyRule, ...] = ()
    default_input: str = "flag"
    default_output: str = "withhold"

    @property
    def version(self) -> str:
        """Twelve characters that change with the policy."""
        return hashlib.sha256(json.dumps(astuple(self)).encode()).hexdigest()[:12]

    def action(self, direction: str, categories: Mapping[str, float], hits: Collection[str]) -> str:
        """The gravest action that a backend's scores and objections call for."""
        rules = {rule.category: rule for rule in self.rules if rule.direction == direction}
        found = "allow"
        for name in {*categories, *hits}:
            score = categories.get(name, 0.0)
            if not _is_told_by_a_child(name, score, categories, rules):
                found = gravest((found, self._one(direction, name, score, name in hits, rules)))
        return found

    def may_stop(self, direction: str) -> bool:
        """Is there anything that stops at once? If not, nobody need look for it meanwhile."""
        return any(rule.direction == direction and rule.action == "stop" for rule in self.rules)

    def _one(
        self, direction: str, name: str, score: float, hit: bool, rules: Mapping[str, PolicyRule]
    ) -> str:
        rule = _rule_for(name, rules)
        if rule is None:
            default = self.default_input if direction == INPUT else self.default_output
            default = "flag" if name in ONLY_FLAGGED else default
            return default if hit else "allow"
        objected = hit if rule.threshold is None else score >= rule.threshold
        return rule.action if objected else "allow"


def gravest(actions: Collection[str]) -> str:
    return max(actions, key=GRAVITY.index, default="allow")


def _rule_for(name: str, rules: Mapping[str, PolicyRule]) -> PolicyRule | None:
    while name and name not in rules:
        name = name.rpartition("/")[0]
    return rules.get(name)


def _is_told_by_a_child(
    name: str, score: float, categories: Mapping[str, float], rules: Mapping[str, PolicyRule]
) -> bool:
    """Backends count a subcategory for its parent too: a rule for the child alone would never do.

    So a parent that scores no more than a child with a rule of its own is left to that rule.
    """
    return any(
        other.startswith(f"{name}/") and other in rules and categories[other] >= score
        for other in categories
    )
