"""Chromium, and what no page of ours may do."""

import asyncio
import re
import shutil
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Playwright,
    Request,
)

CLOSING_S = 10.0  # takes a tenth of a second
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    # A page that asks for anything elsewhere is found by its request; nothing leaves the machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

# Violations of the policy have no console message of their own in every browser; and a hostile
# reply that gets to run says so by this name.
TELLTALES = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.violatedDirective} by ${event.blockedURI} at ` +
    `${event.sourceFile}:${event.lineNumber}`), true);
Object.defineProperty(window, "__pwned", { set() { console.error("a hostile script has run"); } });
"""


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


async def launch(playwright: Playwright, path: str) -> Browser:
    return await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)


async def close(context: BrowserContext) -> None:
    """Close it, also while a page of it is on its way elsewhere: then Chromium may never answer."""
    try:
        async with asyncio.timeout(CLOSING_S):
            await context.close()
    except TimeoutError:
        for page in context.pages:
            await page.close()
        await context.close()


class Watch:
    """Errors, policy violations, dialogs and foreign requests of the pages that it is attached to.

    A test names those that it expects by ``allow``; each other one fails it.
    """

    def __init__(self) -> None:
        self._seen: list[str] = []
        self._allowed: list[re.Pattern[str]] = []

    def allow(self, *patterns: str) -> None:
        self._allowed += map(re.compile, patterns)

    @property
    def faults(self) -> list[str]:
        return [
            fault
            for fault in self._seen
            if not any(allowed.search(fault) for allowed in self._allowed)
        ]

    async def attach(self, context: BrowserContext, origin: str) -> None:
        host = urlsplit(origin).netloc

        def console(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning", "assert"}:
                self._seen.append(f"console: {message.text} ({message.location.get('url')})")

        def request(made: Request) -> None:
            url = urlsplit(made.url)
            if url.netloc != host and url.scheme not in {"data", "blob", "about"}:
                self._seen.append(f"a request left the page: {made.method} {made.url}")

        async def dialog(shown: Dialog) -> None:
            self._seen.append(f"a dialog was shown: {shown.type} {shown.message}")
            await shown.dismiss()

        context.on("console", console)
        context.on("request", request)
        context.on("dialog", dialog)
        context.on("weberror", lambda error: self._seen.append(f"uncaught: {error.error}"))
        await context.add_init_script(TELLTALES)
