"""compose.yaml, as far as it can be looked at without a Docker engine."""

import os
import re
import shutil
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import load_command_class

from tests.parts.postgres import PostgresServer
from tests.parts.process import free_port
from tests.parts.programs import find, need
from tests.parts.redis import RedisServer

ROOT = Path(__file__).resolve().parents[2]
OURS = ("web", "engine", "migrate")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
FILLED_IN = {
    "SECRET_KEY": "s" * 64,
    "POSTGRES_PASSWORD": "p" * 64,
    "OPENAI_BASE_URL": "https://model.example/v1",
    "ALLOWED_HOSTS": "chat.example",
}


@pytest.fixture(scope="module")
def compose() -> list[str]:
    """Docker's own reader of the file: the plugin, or the program before it."""
    if docker := find("docker"):
        plugin = [docker, "compose"]
        if subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode == 0:
            return plugin
    return [need("docker-compose")]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "compose.yaml", tmp_path)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    return tmp_path


def config(
    compose: list[str], project: Path, **variables: str
) -> "subprocess.CompletedProcess[str]":
    (project / ".env").write_text("".join(f"{k}={v}\n" for k, v in variables.items()))
    return subprocess.run(
        [*compose, "config"],
        cwd=project,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_compose_accepts_the_file(compose: list[str], project: Path) -> None:
    result = config(compose, project, **FILLED_IN)
    assert result.returncode == 0, result.stderr
    web = yaml.safe_load(result.stdout)["services"]["web"]
    assert web["environment"]["DATABASE_URL"] == f"postgres://parley:{'p' * 64}@db/parley"
    assert web["environment"]["ALLOWED_HOSTS"] == "localhost,127.0.0.1,chat.example"


@pytest.mark.parametrize("variable", FILLED_IN)
def test_a_secret_that_is_missing_is_named(
    compose: list[str], project: Path, variable: str
) -> None:
    result = config(compose, project, **{k: v for k, v in FILLED_IN.items() if k != variable})
    assert result.returncode != 0
    assert variable in result.stderr
    assert "set it in .env" in result.stderr


def test_the_example_names_what_must_be_filled_in() -> None:
    named = re.findall(r"^#?([A-Z_]+)=", (ROOT / "deploy/env.example").read_text(), re.MULTILINE)
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text()))
    assert used <= set(named)
    assert set(FILLED_IN) <= set(named)


def test_everything_that_is_referred_to_is_there() -> None:
    for name, service in SERVICES.items():
        needs = service.get("depends_on", {})
        assert set(needs) <= set(SERVICES), name
        for needed, how in needs.items():
            healthy = how["condition"] == "service_healthy"
            assert healthy == ("healthcheck" in SERVICES[needed]), (name, needed)
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                assert source in COMPOSE["volumes"], source


def test_ours_are_one_image_that_is_built_once() -> None:
    assert {SERVICES[name]["image"] for name in OURS} == {"parley:local"}
    assert [name for name, service in SERVICES.items() if "build" in service] == ["migrate"]


def test_only_nginx_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert {"db", "redis"} == {
        n for n, s in SERVICES.items() if list(s["networks"]) == ["back"]
    } - {"migrate"}
    assert COMPOSE["networks"]["back"]["internal"]


def test_all_that_stays_up_is_checked_and_restarted() -> None:
    lasting = {name: service for name, service in SERVICES.items() if name != "migrate"}
    assert all("healthcheck" in service for service in lasting.values())
    assert {service["restart"] for service in lasting.values()} == {"unless-stopped"}
    assert SERVICES["migrate"]["restart"] == "no"


def test_processes_have_the_time_to_drain() -> None:
    for name in ("web", "engine"):
        grace = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        assert grace >= settings.DRAIN_TIMEOUT + 10


@pytest.mark.parametrize("name", OURS)
def test_the_commands_are_commands(name: str) -> None:
    program, script, verb, *arguments = SERVICES[name]["command"]
    assert (program, script) == ("python", "manage.py")
    app = "django.core" if verb == "migrate" else "chat"
    load_command_class(app, verb).create_parser("manage.py", verb).parse_args(arguments)


def test_the_variables_are_those_of_the_documentation() -> None:
    described = set(
        re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)
    )
    assert set(SERVICES["web"]["environment"]) <= described


def test_nginx_has_the_address_that_is_trusted() -> None:
    address = SERVICES["nginx"]["networks"]["front"]["ipv4_address"]
    assert SERVICES["web"]["environment"]["TRUSTED_PROXIES"] == address
    (pool,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    # Others get theirs from the upper half, so nobody else can have been given it.
    assert pool["ip_range"].endswith(".128/25")


# --- The health checks, run as they stand there ---------------------------------------------------


def check(service: str, *more: str, **instead: str) -> bool:
    """Is it well? ``more`` are arguments for the test's own copy, ``instead`` other words."""
    kind, program, *words = SERVICES[service]["healthcheck"]["test"]
    assert kind == "CMD"
    path = sys.executable if program == "python" else need(PACKAGES[program], program)
    for old, new in instead.items():
        words = [word.replace(old, new) for word in words]
    result = subprocess.run([path, *more, *words], capture_output=True, check=False, timeout=30)
    return result.returncode == 0


PACKAGES = {"curl": "curl", "pg_isready": "postgresql-client", "redis-cli": "redis-tools"}


def test_an_engine_is_well_while_it_touches_its_file(tmp_path: Path) -> None:
    assert SERVICES["engine"]["command"][-1] == "/tmp/alive"
    alive = tmp_path / "alive"
    here = {"/tmp/alive": str(alive)}
    assert not check("engine", **here)
    alive.touch()
    assert check("engine", **here)
    os.utime(alive, (time.time() - 60,) * 2)
    assert not check("engine", **here)


def test_redis_is_well_while_it_answers(redis_server: RedisServer) -> None:
    assert check("redis", "-p", str(redis_server.port))
    redis_server.kill()
    assert not check("redis", "-p", str(redis_server.port))


def test_the_database_is_well_while_it_answers(postgres: PostgresServer) -> None:
    assert check("db", "--port", str(postgres.port))
    assert not check("db", "--port", str(free_port()))


# --- The image ------------------------------------------------------------------------------------


def test_what_the_image_is_given_is_enough(tmp_path: Path) -> None:
    """The files that the Dockerfile copies and .dockerignore lets through, by themselves."""
    home = tmp_path / "app"
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            *sources, target = line.split()[1:]
            for source in sources:
                assert sent_to_the_builder(source), source
                copy(ROOT / source, home / (source if target == "./" else target))
    result = subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"],
        cwd=home,
        env={
            "PATH": os.environ["PATH"],
            "SECRET_KEY": "only-to-build",
            "OPENAI_BASE_URL": "http://unused",
            "ENV_FILE": os.devnull,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def sent_to_the_builder(path: str) -> bool:
    """.dockerignore, read as Docker does: the last line that fits decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!")
            if fnmatch(path, pattern) or fnmatch(path.split("/")[0], pattern):
                sent = line.startswith("!")
    return sent


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
