"""The floor: the least that Python can do with a packet, without any call around it.

One socket, and a loop. Without arguments it blocks in `recvfrom`, opens a packet with pylibsrtp,
seals it and sends it back. With a folder it only keeps packets: it sleeps as long as Ringback's
sockets rest, takes what waits, opens it, and writes once a second, as a packet dump that cannot be
played (.mjr, as Janus). Nothing is negotiated: both sides know `KEY`.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

from aiortc.rtcdtlstransport import SRTP_PROFILES
from pylibsrtp import Policy, Session

from bench.processes import say
from ringback.bots.media.rest import LONG

SOUND, PICTURES = 96, 97
"""Payload types, as nothing is negotiated."""
PROFILE = SRTP_PROFILES[0]
"""The cipher that calls agree on."""
KEY = bytes(range(PROFILE.key_length + PROFILE.salt_length))
"""Master key and salt (RFC 3711), of no secret."""
EVERY = 1.0
"""Seconds between two writes."""


def session(kind: int) -> Session:
    """An SRTP session for packets of any source; `kind` is of `Policy`: in- or outbound."""
    return Session(Policy(key=KEY, ssrc_type=kind, srtp_profile=PROFILE.libsrtp_profile))


def is_rtcp(data: bytes) -> bool:
    """Whether a packet is RTCP (RFC 5761, section 4)."""
    return 192 <= data[1] <= 223


def main(arguments: list[str]) -> None:
    """Take packets at a free port of the loopback and say which; until the process ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        line.bind(("127.0.0.1", 0))
        say(f"http://127.0.0.1:{line.getsockname()[1]}/")
        if arguments:
            record(line, Path(arguments[0]))
        else:
            echo(line)


def echo(line: socket.socket) -> None:
    """Return each packet."""
    inbound = session(Policy.SSRC_ANY_INBOUND)
    outbound = session(Policy.SSRC_ANY_OUTBOUND)
    while True:
        data, address = line.recvfrom(2048)
        if is_rtcp(data):
            plain = inbound.unprotect_rtcp(data)
            line.sendto(outbound.protect_rtcp(plain), address)
        else:
            plain = inbound.unprotect(data)
            line.sendto(outbound.protect(plain), address)


def record(line: socket.socket, folder: Path) -> None:
    """Keep each packet of media, for each source in a file of its own."""
    inbound = session(Policy.SSRC_ANY_INBOUND)
    line.setblocking(False)
    dumps: dict[bytes, Dump] = {}
    written = time.monotonic()
    while True:
        time.sleep(LONG)
        try:
            while data := line.recv(2048):
                if is_rtcp(data):
                    inbound.unprotect_rtcp(data)
                    continue
                plain = inbound.unprotect(data)
                dump = dumps.get(plain[8:12])
                if dump is None:
                    dump = dumps[plain[8:12]] = Dump(folder, plain)
                dump.packets.append(plain)
        except BlockingIOError:
            pass
        if time.monotonic() - written >= EVERY:
            written = time.monotonic()
            dumps = {source: dump for source, dump in dumps.items() if dump.write()}


class Dump:
    """The packets of one source, in a file that is named after it."""

    def __init__(self, folder: Path, first: bytes) -> None:
        kind = b"v" if first[1] & 127 == PICTURES else b"a"
        head = b'{"t":"%s"}' % kind
        self.packets: list[bytes] = []
        self._file = os.open(folder / f"{first[8:12].hex()}.mjr", os.O_WRONLY | os.O_CREAT)
        os.write(self._file, b"MJR00002" + len(head).to_bytes(2, "big") + head)

    def write(self) -> bool:
        """Write what came. Whether anything did; if not the file is closed."""
        packets, self.packets = self.packets, []
        if not packets:
            os.close(self._file)
            return False
        kept = (b"MEET" + bytes(4) + len(one).to_bytes(2, "big") + one for one in packets)
        os.write(self._file, b"".join(kept))
        return True


if __name__ == "__main__":
    main(sys.argv[1:])
