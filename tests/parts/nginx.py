"""nginx with the configuration that we ship, filled in for the ports of a test."""

import os
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from tests.parts.process import PATIENCE_S, Process, free_port, listens
from tests.parts.programs import need

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "deploy/nginx/parley.conf.template"
# What the image's or Debian's own nginx.conf is: a frame around what we ship.
FRAME = """
{user}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr notice;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include parley.conf;
}}
"""


def compose_environment() -> dict[str, str]:
    """The variables that compose.yaml gives its nginx, when .env says nothing about them."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    variables: dict[str, str] = compose["services"]["nginx"]["environment"]
    return {name: re.sub(r"\$\{\w+:-(\w*)\}", r"\1", value) for name, value in variables.items()}


def fill_in(template: str, variables: Mapping[str, str]) -> str:
    """What the image does with a template: envsubst, for the variables that it is given."""
    return re.sub(r"\$\{(\w+)\}", lambda found: variables.get(found[1], found[0]), template)


class Nginx(Process):
    """nginx in front of the processes on these ports; the same variables as in compose.yaml."""

    def __init__(
        self,
        home: Path,
        upstream_ports: Sequence[int],
        *,
        extra: Mapping[str, str] | None = None,
        **variables: str,
    ) -> None:
        program = need("nginx")
        (home / "parley.d").mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.access_log = home / "access.log"
        given = compose_environment()
        line = given["PARLEY_UPSTREAM"]
        # Only the address differs. Who has one needs no resolver.
        server = line[line.index("server ") :].replace(" resolve", "")
        servers = [server.replace("web:8000", f"127.0.0.1:{port}") for port in upstream_ports]
        filled = fill_in(
            TEMPLATE.read_text(),
            given
            | {
                "PARLEY_UPSTREAM": "\n    ".join(servers),
                "PARLEY_LISTEN": f"127.0.0.1:{self.port}",
                "PARLEY_ACCESS_LOG": str(self.access_log),
            }
            | variables,
        )
        (home / "parley.conf").write_text(filled)
        for name, text in (extra or {}).items():
            (home / "parley.d" / name).write_text(text)
        # As root, nginx would give its work to a user who cannot enter pytest's directories.
        user = "user root;" if os.geteuid() == 0 else ""
        (home / "nginx.conf").write_text(FRAME.format(user=user))
        super().__init__(
            [program, "-p", str(home), "-c", "nginx.conf", "-e", "stderr"], home / "nginx.log"
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        super().start()
        self.wait(lambda: listens(self.port), PATIENCE_S, "nginx does not listen")

    def stop(self) -> None:
        """End it and the connections that go through it."""
        assert self.end(signal.SIGTERM) == 0, self.last_lines()
