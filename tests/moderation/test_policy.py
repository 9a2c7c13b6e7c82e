"""From categories and scores to an action: the most specific rule, the gravest action."""

import pytest

from chat.moderation.policy import GRAVITY, Policy, PolicyRule, gravest


def policy(*rules: tuple[str, str, str] | tuple[str, str, str, float], **defaults: str) -> Policy:
    return Policy(tuple(PolicyRule(*rule) for rule in rules), **defaults)


@pytest.mark.parametrize(
    ("rules", "direction", "categories", "hits", "action"),
    [
        ([], "output", {"hate": 0.9}, ["hate"], "withhold"),
        ([], "input", {"hate": 0.9}, ["hate"], "flag"),
        ([], "output", {"hate": 0.4}, [], "allow"),
        ([], "output", {"prompt_injection": 0.9}, ["prompt_injection"], "flag"),
        ([("output", "hate", "allow")], "output", {"hate": 0.9}, ["hate"], "allow"),
        ([("input", "hate", "allow")], "output", {"hate": 0.9}, ["hate"], "withhold"),
        # The parent's rule holds for the child, and the child's beats it.
        (
            [("output", "violence", "stop")],
            "output",
            {"violence/graphic": 0.9},
            ["violence/graphic"],
            "stop",
        ),
        (
            [("output", "violence", "stop"), ("output", "violence/graphic", "allow")],
            "output",
            {"violence/graphic": 0.9},
            ["violence/graphic"],
            "allow",
        ),
        # A backend that counts the child for its parent too does not undo the child's rule.
        (
            [("output", "violence", "stop"), ("output", "violence/graphic", "allow")],
            "output",
            {"violence": 0.9, "violence/graphic": 0.9},
            ["violence", "violence/graphic"],
            "allow",
        ),
        (
            [("output", "violence", "stop"), ("output", "violence/graphic", "allow")],
            "output",
            {"violence": 0.9, "violence/graphic": 0.6},
            ["violence", "violence/graphic"],
            "stop",
        ),
        ([("output", "", "flag")], "output", {"hate": 0.9}, ["hate"], "flag"),
        (
            [("output", "", "stop"), ("output", "hate", "flag")],
            "output",
            {"hate": 0.9},
            ["hate"],
            "flag",
        ),
        # A threshold is the operator's own line, above or below the backend's.
        ([("output", "hate", "stop", 0.2)], "output", {"hate": 0.3}, [], "stop"),
        ([("output", "hate", "stop", 0.95)], "output", {"hate": 0.9}, ["hate"], "allow"),
        ([("output", "", "flag", 0.1)], "output", {"sexual": 0.1}, [], "flag"),
        # The gravest of several.
        (
            [("input", "hate", "stop"), ("input", "sexual", "withhold")],
            "input",
            {"hate": 0.9, "sexual": 0.9},
            ["hate", "sexual"],
            "stop",
        ),
        # An objection without a score counts.
        ([], "output", {}, ["flagged"], "withhold"),
    ],
)
def test_the_most_specific_rule_and_the_gravest_action_count(
    rules: list[tuple[str, str, str]],
    direction: str,
    categories: dict[str, float],
    hits: list[str],
    action: str,
) -> None:
    assert policy(*rules).action(direction, categories, hits) == action


def test_the_version_changes_with_rules_and_defaults_and_with_nothing_else() -> None:
    one = policy(("output", "hate", "stop"))
    assert one.version == policy(("output", "hate", "stop")).version
    others = {
        policy().version,
        policy(("input", "hate", "stop")).version,
        policy(("output", "hate", "stop", 0.5)).version,
        policy(("output", "hate", "stop"), default_output="flag").version,
    }
    assert len(others - {one.version}) == 4
    assert len(one.version) == 12


def test_only_a_rule_that_stops_makes_anybody_look_while_it_is_written() -> None:
    assert not policy(("output", "", "withhold")).may_stop("output")
    assert policy(("output", "hate", "stop")).may_stop("output")
    assert not policy(("output", "hate", "stop")).may_stop("input")


def test_actions_are_ordered_by_how_grave_they_are() -> None:
    assert [gravest(GRAVITY[: n + 1]) for n in range(4)] == list(GRAVITY)
    assert gravest([]) == "allow"
