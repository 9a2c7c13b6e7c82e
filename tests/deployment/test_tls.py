"""TLS at nginx, by the example that we ship: pages, cookies and sockets know that it is https."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import websockets

from tests.deployment.cluster import database_of
from tests.deployment.conftest import TEMPLATE
from tests.e2e.server import Person, Prepared, Server
from tests.fake_provider import FakeProvider
from tests.parts.nginx import ROOT, Nginx
from tests.parts.postgres import PostgresServer
from tests.parts.process import free_port
from tests.parts.programs import need
from tests.visitor import ANY_CERTIFICATE, Visitor, ask_soon, until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def https_server(
    postgres: PostgresServer,
    prepared_on_postgres: Prepared,
    _provider: FakeProvider,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("https")
    variables = {"HTTPS_ONLY": "1", "TRUSTED_PROXIES": "127.0.0.1"}
    with database_of(postgres, home.name, TEMPLATE) as url:
        server = Server(
            prepared_on_postgres, home, _provider.base_url, DATABASE_URL=url, **variables
        )
        server.start()
        yield server
        server.stop()
        server.check_log()


@pytest.fixture
def https(https_server: Server, nginx: Callable[..., Nginx], tmp_path: Path) -> str:
    """The address of the site, with TLS."""
    subprocess.run(
        [
            need("openssl"),
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"),
            *("-keyout", "privkey.pem", "-out", "fullchain.pem"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    port = free_port()
    example = (ROOT / "deploy/nginx/parley.d/tls.conf.example").read_text()
    here = example.replace("8443", f"127.0.0.1:{port}").replace(
        "/etc/nginx/parley.d", str(tmp_path)
    )
    nginx([https_server.port], extra={"tls.conf": here})
    return f"https://127.0.0.1:{port}"


async def test_a_reply_streams_over_tls(
    https: str, provider: FakeProvider, somebody: Person
) -> None:
    visitor = Visitor(https, somebody)
    async with visitor.watching() as page:
        assert (await visitor.send("Hello?")).status == 200
        await until(page, 'data-state="complete"')
    assert (await visitor.ended())["text"] == "All is well."


async def test_a_page_without_tls_gets_no_socket(https: str, somebody: Person) -> None:
    visitor = Visitor(https, somebody)
    with pytest.raises(websockets.InvalidStatus):
        async with websockets.connect(
            https.replace("https", "wss") + visitor.socket_path,
            origin=https.replace("https", "http"),  # type: ignore[arg-type]
            additional_headers={"Cookie": somebody.cookie},
            ssl=ANY_CERTIFICATE,
        ):
            pass


async def test_cookies_are_for_tls_alone(https: str, somebody: Person) -> None:
    page = await ask_soon(https + "/accounts/login/")
    token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    fields = {
        "csrfmiddlewaretoken": token,
        "login": somebody.name,
        "password": somebody.password,
    }
    answer = await ask_soon(
        https + "/accounts/login/",
        "POST",
        urlencode(fields).encode(),
        Cookie=page.headers["Set-Cookie"].partition(";")[0],
        Content_Type="application/x-www-form-urlencoded",
        Referer=https + "/accounts/login/",
    )
    assert answer.status == 302, answer.text
    assert "Secure" in page.headers["Set-Cookie"]
    assert "Secure" in answer.headers["Set-Cookie"]
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")


async def test_who_comes_without_tls_is_sent_to_it(
    https_server: Server, nginx: Callable[..., Nginx]
) -> None:
    front = nginx([https_server.port])
    answer = await ask_soon(front.url + "/accounts/login/")
    assert answer.status == 301
    assert answer.headers["Location"] == front.url.replace("http", "https") + "/accounts/login/"
    # But for those who ask how it is, and do not follow.
    assert (await ask_soon(front.url + "/readyz")).status == 200


async def test_a_proxy_before_nginx_may_end_tls(
    https_server: Server, nginx: Callable[..., Nginx]
) -> None:
    front = nginx([https_server.port], PARLEY_SCHEME="https")
    assert (await ask_soon(front.url + "/accounts/login/")).status == 200
