"""The log of packet headers: what each packet is, and what is kept of many."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ringback.bots.calltest.packetlog import HEAD, Kind, PacketLog, kind_of, payload_type
from ringback.bots.media.packet import build

RTP = build(96, 7, 3000, 0xDECADE, b"x" * 20, marker=True)
RTCP = bytes.fromhex("81c9000700000001") + bytes(24)
STUN = bytes.fromhex("000100002112a442") + bytes(12)
DTLS = bytes([22, 254, 253]) + bytes(20)
CHANNEL = bytes.fromhex("40000020")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (RTP, "rtp"), (RTCP, "rtcp"), (STUN, "stun"), (DTLS, "dtls"), (b"", "other"),
        (b"\x50" + bytes(3), "other"), (b"\xff" * 40, "other"), (RTP[:11], "other"),
        (b"\x80\xc9", "other"), (CHANNEL + RTP, "rtp"), (CHANNEL + RTCP, "rtcp"),
        (CHANNEL + DTLS, "dtls"), (b"\x0a" * 30, "other"),
    ],
)  # fmt: skip
def test_kinds(data: bytes, kind: Kind) -> None:
    assert kind_of(data) == kind


def test_the_payload_type_is_read_through_a_channel_too() -> None:
    assert payload_type(RTP) == payload_type(CHANNEL + RTP) == 96


def test_headers_are_kept() -> None:
    log = PacketLog()
    log.note(100.0, "up", RTP, "passed", 100.25)
    log.note(100.5, "down", RTCP, "lost")
    log.note(101.0, "up", STUN, "queue")
    rtp, rtcp, stun = log.lines
    assert rtp == (0.0, "up", "rtp", 0xDECADE, 96, 7, 3000, True, 32, "passed", 0.25)
    assert (rtcp.time, rtcp.kind, rtcp.ssrc, rtcp.payload_type) == (0.5, "rtcp", 1, 201)
    assert (rtcp.sequence, rtcp.fate, rtcp.arrives) == (None, "lost", None)
    assert (stun.kind, stun.ssrc, stun.size) == ("stun", None, 20)


def test_times_may_count_from_another_moment() -> None:
    log = PacketLog(began=90.0)
    log.note(100.0, "up", RTP, "passed", 101.0)
    assert (log.lines[0].time, log.lines[0].arrives) == (10.0, 11.0)


@pytest.mark.parametrize("limit", [10, 11])
def test_the_first_and_the_last_are_kept(limit: int) -> None:
    log = PacketLog(limit)
    for number in range(100):
        log.note(float(number), "up", RTP, "passed", float(number))
    times = [line.time for line in log.lines]
    assert len(times) == limit
    first = limit - limit // 2
    assert times == [*range(first), *range(100 - limit // 2, 100)]
    assert log.left_out == 100 - limit


def test_few_are_all_kept() -> None:
    log = PacketLog(10)
    for number in range(10):
        log.note(float(number), "up", RTP, "passed")
    assert len(log.lines) == 10
    assert log.left_out == 0


def test_the_file_has_all_of_it(tmp_path: Path) -> None:
    log = PacketLog(4)
    for number in range(7):
        log.note(100 + number / 3, "up", RTP if number else STUN, "passed", 101.0)
    log.note(110.0, "down", RTCP, "lost")
    log.write(tmp_path / "packets.csv")
    with (tmp_path / "packets.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert tuple(head) == HEAD
    assert rows[0] == ["0.000000", "up", "stun", "", "", "", "", "", "20", "passed", "1.000000"]
    assert rows[1][3:8] == [str(0xDECADE), "96", "7", "3000", "1"]
    assert rows[2][2] == "left out"
    assert rows[2][8] == "4"
    assert rows[4][1:] == ["down", "rtcp", "1", "201", "", "", "", "32", "lost", ""]
    assert {len(row) for row in rows} == {len(HEAD)}
