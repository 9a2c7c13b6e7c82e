"""The streaming test: a few small pieces, far enough apart to be told from each other."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

PIECES = 8
STEP_S = 0.15


async def pieces() -> AsyncIterator[str]:
    """Server-sent events, each with the time at which it was sent, in ms after the first."""
    started = time.monotonic()
    for piece in range(1, PIECES + 1):
        if piece > 1:
            await asyncio.sleep(STEP_S)
        sent_ms = round((time.monotonic() - started) * 1000, 1)
        yield f"data: {json.dumps({'piece': piece, 'of': PIECES, 'sent': sent_ms})}\n\n"
