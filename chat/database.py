"""The database, for code that runs on the event loop.

Channels' own ``database_sync_to_async`` funnels every consumer of a process through one shared
thread; a small pool with a connection per thread keeps a slow query from holding up the others.

Views run in the same pool. What one of them waits for with ``async_to_sync`` must never come back
here: each such view would keep a thread and wait for another, and as many of them as there are
threads would wait for ever.
"""

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connections

P = ParamSpec("P")
T = TypeVar("T")

# SQLite lets one write at a time and Python runs one thread at a time; more
# threads than this only wait.
THREADS = 4
_pool: ThreadPoolExecutor | None = None


async def in_database(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a synchronous call that uses the ORM in the pool; returns and raises what it does."""
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(THREADS, thread_name_prefix="database")
    bound = functools.partial(call, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_pool, _fresh, bound)


def _fresh(call: Callable[[], T]) -> T:
    close_old_connections()  # one that broke meanwhile; a healthy one stays
    return call()


def close_pool() -> None:
    """End the threads and close their connections."""
    global _pool
    pool, _pool = _pool, None
    if pool is not None:
        # Each thread must take one: a thread that took two would leave another's connection open.
        together = threading.Barrier(THREADS)
        for _ in range(THREADS):
            pool.submit(_close_connections, together)
        pool.shutdown(wait=True)


def _close_connections(together: threading.Barrier) -> None:
    connections.close_all()
    together.wait()
