"""axe-core in our pages."""

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

SCRIPT = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async ([tags, without]) => (await axe.run(document, {
  // Preloading would write styles into the page, which the policy forbids and our watch reports.
  preload: false, resultTypes: ["violations"], runOnly: { type: "tag", values: tags },
  rules: Object.fromEntries(without.map((rule) => [rule, { enabled: false }])),
})).violations.map(({ id, help, nodes }) => ({
  rule: id, help, where: nodes.map((node) => `${node.target.join(" ")}: ${node.failureSummary}`),
}))"""
# One transition's end may begin another's: a colour that is inherited passes from parent to child.
SETTLED = """async () => {
  const moving = () => document.getAnimations().some((animation) =>
    animation.playState === "running" && animation.effect.getTiming().iterations !== Infinity);
  for (let still = 0; still < 3; still = moving() ? 0 : still + 1)
    await new Promise((done) => requestAnimationFrame(done));
}"""

WIDTHS = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")


@cache
def _source() -> str:
    if not SCRIPT.exists():
        pytest.fail("axe-core is not there: npm ci, or make test")
    return SCRIPT.read_text()


async def violations(page: Page, without: Collection[str] = ()) -> list[dict[str, Any]]:
    """What axe finds on the page as it is, when it has come to rest."""
    # The policy forbids the page to load it; evaluating is the debugger's, which may.
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_source())
    await page.evaluate(SETTLED)
    found: list[dict[str, Any]] = await page.evaluate(RUN, [TAGS, list(without)])
    return found
