"""Strangers' nonsense is one line in the log; faults of ours keep their traceback."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ringback.server.logs import Strangers
from tests.running import Server


async def test_what_is_no_http_is_logged_in_one_line(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("aiohttp.server")
    strangers = Strangers()
    caplog.set_level(logging.INFO)
    logger.addFilter(strangers)
    try:
        reader, writer = await asyncio.open_connection(server.config.host, server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nbad header without colon\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
    finally:
        logger.removeFilter(strangers)
    assert b" 400 " in answer.splitlines()[0]
    [record] = [r for r in caplog.records if r.name == "aiohttp.server"]
    assert record.levelno == logging.INFO
    assert record.exc_info is None
    assert "127.0.0.1" in record.getMessage()


def test_our_own_faults_keep_their_traceback() -> None:
    try:
        raise RuntimeError("a fault")
    except RuntimeError as error:
        fault = error
    trace = (RuntimeError, fault, None)
    record = logging.LogRecord("aiohttp.server", logging.ERROR, "f", 1, "failed", (), trace)
    assert Strangers().filter(record) is True
    assert (record.levelno, record.exc_info) == (logging.ERROR, trace)
