"""Every variable is described, and a bad value stops the start and names its variable."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chatsite.env import kept_secret, names

ROOT = Path(__file__).parent.parent


def test_docs_and_code_know_the_same_variables() -> None:
    code = (ROOT / "chatsite/settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', code)) | {"ENV_FILE"}
    docs = (ROOT / "docs/configuration.md").read_text()
    described = set(re.findall(r"^\| `([A-Z_]+)` \|", docs, re.MULTILINE))
    assert read == described


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DEBUG", "perhaps"),
        ("SIGNUP", "everybody"),
        ("MODERATION_ACTION", "shrug"),
        ("MODERATION_BACKENDS", "oracle"),
        ("STREAM_IDLE_TIMEOUT", "soon"),
        ("STREAM_IDLE_TIMEOUT", "0"),
        ("STREAM_ABANDON_GRACE", "sometimes"),
        ("MESSAGE_MAX_CHARS", "-1"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
        ("CSRF_TRUSTED_ORIGINS", "chat.example"),
        ("OPENAI_BASE_URL", "api.example"),
        ("DATABASE_URL", "oracle-of-delphi"),
        ("LOG_FORMAT", "runes"),
        ("EMAIL_URL", "pigeon://roof"),
    ],
)
def test_a_bad_value_stops_the_start_and_names_its_variable(variable: str, value: str) -> None:
    result = start(**{variable: value})
    assert result.returncode != 0
    assert f"  {variable}: " in result.stderr
    assert "Traceback" not in result.stderr


def test_all_bad_values_are_named_at_once() -> None:
    result = start(DEBUG="perhaps", MESSAGE_MAX_CHARS="many")
    assert "DEBUG" in result.stderr
    assert "MESSAGE_MAX_CHARS" in result.stderr


def test_a_comma_in_a_model_s_name_is_escaped() -> None:
    assert names(r"a:1,b=2, c\,d ,") == ["a:1", "b=2", "c,d"]


def test_a_mail_server_is_one_url() -> None:
    assert start(EMAIL_URL="submission://user:secret@mail.example:587").returncode == 0


def test_the_secret_key_is_made_once_and_for_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secret_key"
    first = kept_secret(path)
    assert len(first) > 50
    assert kept_secret(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secret_key"]
