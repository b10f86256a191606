"""The floor: the least that Python can do with a packet, without any call around it.

One socket, and a loop that blocks in `recvfrom`, opens a packet with pylibsrtp, seals it and
sends it back. Nothing is negotiated: both sides know `KEY`.
"""

from __future__ import annotations

import socket

from pylibsrtp import Policy, Session

from bench.processes import say

KEY = bytes(range(30))
"""Master key and salt (RFC 3711), of no secret."""


def session(kind: int) -> Session:
    """An SRTP session for packets of any source; `kind` is of `Policy`: in- or outbound."""
    return Session(Policy(key=KEY, ssrc_type=kind))


def main() -> None:
    """Return packets on a free port of the loopback and say which; until the process ends."""
    inbound = session(Policy.SSRC_ANY_INBOUND)
    outbound = session(Policy.SSRC_ANY_OUTBOUND)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        line.bind(("127.0.0.1", 0))
        say(f"http://127.0.0.1:{line.getsockname()[1]}/")
        while True:
            data, address = line.recvfrom(2048)
            if 192 <= data[1] <= 223:
                plain = inbound.unprotect_rtcp(data)
                line.sendto(outbound.protect_rtcp(plain), address)
            else:
                plain = inbound.unprotect(data)
                line.sendto(outbound.protect(plain), address)


if __name__ == "__main__":
    main()
