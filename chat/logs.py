"""Structured logs: a JSON line per event in production, readable lines in a terminal.

Events are named, their values are ids and counts. No message text and no secret is ever passed to
a logger; what a provider said of an error stays in the database.
"""

import logging
import logging.config
import sys
from typing import Any

import structlog


def _brief(record: logging.LogRecord) -> bool:
    """What fails again every few seconds while Redis is away, without a traceback each time."""
    if record.exc_info and record.exc_info[0] is not None:
        record.msg, record.args = "%s: %s", (record.getMessage(), record.exc_info[0].__name__)
        record.exc_info = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def configure(config: dict[str, Any]) -> None:
    """Django's LOGGING_CONFIG hook: send everything, ours and the libraries', the same way."""
    as_json = config["format"] == "json" or (config["format"] == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=as_json),
    ]
    final: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        # Without local variables: they hold messages and keys.
        trace = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        final += [
            structlog.processors.ExceptionRenderer(trace),
            structlog.processors.JSONRenderer(),
        ]
    else:
        final += [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=final, foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(allow=set())]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(config["level"])
    # Libraries that write request bodies or a line per frame at INFO and DEBUG.
    for name in ("daphne", "openai", "httpx2", "httpcore2", "aiohttp", "asyncio", "twisted"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("channels_redis.pubsub").addFilter(_brief)
    logging.captureWarnings(capture=True)
