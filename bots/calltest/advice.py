"""What to do where media finds no way, in words. Pure."""

from __future__ import annotations

from typing import Literal

from ringback.bots.media import turnprobe

Way = Literal["direct", "udp", "tcp", "tls"]
Code = Literal[turnprobe.Code, "denied_peer", "no_way", "no_media", "absent"]

WAYS: dict[Way, str] = {
    "direct": "direct",
    "udp": "TURN over UDP",
    "tcp": "TURN over TCP",
    "tls": "TURN over TLS",
}

_ADVICE: dict[Code, str] = {
    "unreadable": "Write it like turn:turn.example.org:3478?transport=tcp in --ice-server.",
    "not_found": "Correct the name in --ice-server, or its entry in the DNS.",
    "refused": "Start the TURN server there, or correct host and port in --ice-server.",
    "silent": "See that the TURN server runs there and listens by this transport, and that no "
    "firewall stands before its port.",
    "certificate": "Give the TURN server a certificate for this name that is signed by an "
    "authority that everybody trusts (cert and pkey in turnserver.conf), and let it speak TLS.",
    "wrong_secret": "Let user and secret in --ice-server be those of the TURN server (user or "
    "static-auth-secret in turnserver.conf); if they are made to expire, make new ones.",
    "forbidden": "The TURN server lets nobody from here in: look at its access rules.",
    "full": "The TURN server has no relays left: raise user-quota, total-quota or the range of "
    "its relay ports (min-port, max-port).",
    "failed": "Look into the TURN server's log.",
    "denied_peer": "Allow these addresses (denied-peer-ip and allowed-peer-ip in "
    "turnserver.conf), or let the bots be reached at others: --public-address.",
    "no_media": "The way stands, and nothing comes back on it: look into the bot's log, and for "
    "a firewall that lets only small packets through.",
}
_NO_WAY: dict[Literal["direct", "relayed"], str] = {
    "direct": "Let UDP reach the bots: open their ports (--media-ports), name their address from "
    "outside (--public-address); or live with TURN.",
    "relayed": "Let UDP go between the TURN server's relay ports (min-port to max-port) and the "
    "bots' ports (--media-ports); behind NAT give the TURN server its external-ip.",
}
_ABSENT: dict[Way, str] = {
    "udp": "For people whom nothing reaches directly, run a TURN server: "
    "--ice-server turn:HOST:3478,USER,SECRET.",
    "tcp": "For people whose firewall lets no UDP out, offer it: "
    "--ice-server turn:HOST:3478?transport=tcp,USER,SECRET.",
}


def advice(code: Code, way: Way) -> str:
    """What whoever runs the exchange can do about it."""
    match code:
        case "no_way":
            return _NO_WAY["direct" if way == "direct" else "relayed"]
        case "absent":
            return _ABSENT[way]
        case _:
            return _ADVICE[code]
