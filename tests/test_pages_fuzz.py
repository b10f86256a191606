"""No request, however odd, makes a page fail."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.running import Server

# What may be the value of a header (RFC 9110, 5.5); anything else is refused before a page
# is asked for.
values = st.binary(max_size=40).map(
    lambda raw: bytes(byte for byte in raw if byte >= 32 and byte != 127).strip() or b"x"
)
texts = st.text(max_size=40) | st.sampled_from(["kitchen", "Ann", "echo", "..", "%2e", "\ufeff"])
segments = texts.map(lambda text: quote(text.encode("utf-8", "surrogatepass"), safe=""))
rough = st.binary(max_size=20).map(lambda raw: quote(raw, safe="/%?&=;"))
paths = st.one_of(
    st.sampled_from(["/", "/call/", "/call", "/healthz", "/favicon.ico", "/robots.txt"]),
    st.builds("/room/{}/{}/".format, segments, segments),
    st.builds("/room/{}".format, segments),
    st.builds("/static/{}/{}".format, segments, segments),
    st.builds("/{}?room={}&to={}&unlisted={}".format, rough, segments, segments, rough),
    st.builds("/call/?to={}".format, rough),
    st.builds("/room/{}/{}?{}".format, rough, rough, rough),
)
headers = st.dictionaries(
    st.sampled_from(
        [b"Host", b"Origin", b"Cookie", b"Sec-Fetch-Site", b"Content-Type", b"Accept-Encoding",
         b"Range", b"If-None-Match", b"If-Modified-Since", b"If-Range", b"Upgrade"]
    ),
    values | st.sampled_from([b"bytes=0-", b"bytes=5-2", b"*", b"null", b"http://x", b"gzip"]),
    max_size=5,
)  # fmt: skip
bodies = st.one_of(
    st.just(b""),
    st.binary(max_size=60),
    st.builds("username={}&room_name={}&csrf={}".format, segments, segments, segments).map(
        str.encode
    ),
)
methods = st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"])
FORM = b"application/x-www-form-urlencoded"


async def send(server: Server, request: bytes) -> bytes:
    """What the server answers to some bytes on a connection of their own."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(server.config.host, server.port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(methods, paths, headers, bodies)
async def test_no_request_makes_a_page_fail(
    server: Server,
    caplog: pytest.LogCaptureFixture,
    method: bytes,
    path: str,
    headers: dict[bytes, bytes],
    body: bytes,
) -> None:
    lines = {b"Host": b"127.0.0.1", b"Content-Type": FORM} | headers
    lines |= {b"Content-Length": str(len(body)).encode(), b"Connection": b"close"}
    head = b"".join(name + b": " + value + b"\r\n" for name, value in lines.items())
    caplog.clear()
    answer = await send(
        server, method + b" " + path.encode() + b" HTTP/1.1\r\n" + head + b"\r\n" + body
    )
    assert answer.startswith(b"HTTP/1.1 ")
    assert int(answer[9:12]) < 500
    assert not [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]


async def test_the_same_way_a_good_request_is_answered(server: Server) -> None:
    answer = await send(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
