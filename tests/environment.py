"""A pytest plugin, loaded before Django's settings: the tests' own environment, nobody else's."""

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import pytest

# No deadline: how long an example takes is the machine's business. The same examples on every CI
# run, new ones on every other.
hypothesis.settings.register_profile(
    "parley", deadline=None, derandomize=os.environ.get("CI") == "true", print_blob=True
)
hypothesis.settings.load_profile("parley")

OURS = (
    "ALLOWED_HOSTS",
    "CHAT_MODELS",
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_URL",
    "DEBUG",
    "EMAIL_URL",
    "LOG_FORMAT",
    "METRICS_ADDRESSES",
    "METRICS_TOKEN",
    "MODEL_PRICES",
    "MODERATION_ACTION",
    "MODERATION_BACKENDS",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "PRICE_CURRENCY",
    "REDIS_URL",
    "SIGNUP",
    "TOOL_APPROVAL_TIMEOUT",
    "TOOL_FETCH_HOSTS",
    "TOOL_TIMEOUT",
)

VAR_DIR = Path(tempfile.mkdtemp(prefix="parley-tests-"))

(VAR_DIR / "static").mkdir()

for name in OURS:
    os.environ.pop(name, None)
os.environ |= {
    "ENV_FILE": os.devnull,
    "VAR_DIR": str(VAR_DIR),
    "STATIC_ROOT": str(VAR_DIR / "static"),
    "SECRET_KEY": "only-for-tests-" + "x" * 40,
    "SIGNUP": "open",
    # Nothing listens there: a test that needs a provider brings its own.
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "OPENAI_API_KEY": "sk-test-canary-key",
    "CHAT_MODELS": "fake",
    "LOG_FORMAT": "json",
}


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(VAR_DIR, ignore_errors=True)
