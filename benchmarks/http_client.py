"""A lean HTTP/1.1 client: one keep-alive connection with its cookies."""

import asyncio


class Http:
    """Opens its connection when there is something to ask, and keeps it."""

    def __init__(self, port: int, cookies: dict[str, str]) -> None:
        self._port, self._cookies = port, cookies
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    async def open(self) -> None:
        if self._streams is None or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        await self.open()
        assert self._streams is not None
        reader, writer = self._streams
        sent = {
            "Host": f"127.0.0.1:{self._port}",
            "Cookie": self.cookie,
            "Content-Length": str(len(body)),
            **(headers or {}),
        }
        lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in sent.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        status_line, *raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status, got = int(status_line.split(" ", 2)[1]), {}
        for line in filter(None, raw):
            name, _, value = line.partition(":")
            got[name.lower()] = value.strip()
            if name.lower() == "set-cookie":
                key, _, content = value.strip().partition(";")[0].partition("=")
                self._cookies[key] = content
        answer = await self._body(reader, status, got)
        if got.get("connection", "").lower() == "close":
            self.close()
        return status, got, answer

    async def _body(
        self, reader: asyncio.StreamReader, status: int, headers: dict[str, str]
    ) -> bytes:
        if status in (204, 304):
            return b""
        if headers.get("transfer-encoding", "").lower() != "chunked":
            if "content-length" in headers:
                return await reader.readexactly(int(headers["content-length"]))
            return await reader.read()
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        await reader.readline()
        return b"".join(parts)

    async def page(self, path: str) -> str:
        """The HTML behind the path, after redirects. Raises LookupError for any other answer."""
        for _ in range(4):
            status, headers, body = await self.request("GET", path, headers={"Accept": "text/html"})
            if status == 200:
                return body.decode()
            if status not in (301, 302, 303, 307) or "/login" in headers["location"]:
                raise LookupError(f"GET {path} answered {status} {headers.get('location', '')}")
            path = headers["location"]
        raise LookupError(f"GET {path} redirects in a circle")

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
