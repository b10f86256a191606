"""What a stranger's session description and candidates must be before aiortc sees them.

Pure. Two things are made of an offer: a description without its candidates, which aiortc can
take, and the candidates that passed, which are added one by one: aiortc files the candidates
of a bundled offer under the last media line, browsers put them under the first. The
candidates are a policy too: our host sends packets to where they point.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from ipaddress import ip_address

from .description import MAX_LINE, TRANSPORT, BadOffer, bundles, read_lines, split, values
from .network import Network, is_local_name
from .rejection import Rejected, as_inactive, rejected_in, take_out

MAX_MEDIA = 16
MAX_FINGERPRINTS = 8
MAX_CANDIDATES = 50
MIN_PORT = 1024
OURS = Network()

_CANDIDATE = re.compile(
    r"(?:a=)?candidate:([A-Za-z0-9+/]{1,32}) (\d{1,3}) (\S{1,8}) (\d{1,10}) (\S{1,255}) (\d{1,5})"
    r" typ (host|srflx|prflx|relay)(?: .*)?"
)
# What browsers hide an address behind (draft-ietf-mmusic-mdns-ice-candidates).
_ICE = re.compile(r"[A-Za-z0-9+/]+")
_MEDIA = re.compile(r"m=(audio|video|application) (\d{1,5}) \S+ .+")


@dataclass(frozen=True, slots=True)
class RemoteCandidate:
    """A candidate of the peer that may be tried (RFC 8839, section 5.1).

    `address` may be a `.local` name, where the network allows these: what it stands for is
    then to be judged.
    """

    foundation: str
    priority: int
    address: str
    port: int
    kind: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A checked offer, or answer. `transport` changes when the peer starts ICE or DTLS anew.

    `sdp` is without the sections that are `rejected`, and empty where nothing else is left;
    `sections` are the names (mid) and kinds of those in it, `main` is the name of the one whose
    transport all use.
    """

    sdp: str
    sections: tuple[tuple[str, str], ...]
    transport: tuple[str, ...]
    candidates: tuple[RemoteCandidate, ...]
    refused: int
    rejected: tuple[Rejected, ...] = ()
    main: str = ""

    def same_transport(self, other: Offer) -> bool:
        """Whether a later description of the peer's is for the same ICE and DTLS.

        Who begins with DTLS is said anew in each: open in an offer, decided in an answer. A
        browser that stops the main section begins both anew, under the same names (Chromium).
        """

        def parameters(offer: Offer) -> list[str]:
            return [line for line in offer.transport if not line.startswith("a=setup:")]

        goes_on = any(mid == self.main for mid, _ in other.sections)
        return goes_on and parameters(self) == parameters(other)


def read_candidate(line: str, network: Network = OURS) -> RemoteCandidate | None:
    """A candidate that may be tried, or None for one that is well formed but refused.

    Refused are TCP, components other than RTP, host names (but for those that browsers make
    up, where `network` allows them), ports below 1024 and addresses that `network` refuses: the
    peer's own checks show us where it is. Raises `BadOffer` for what is no candidate.
    """
    if len(line) > MAX_LINE or not (match := _CANDIDATE.fullmatch(line.strip())):
        raise BadOffer("The candidate is not of the agreed form.", "ice")
    foundation, component, protocol, priority, host, port, kind = match.groups()
    if int(priority) >= 2**32 or int(port) >= 2**16:
        raise BadOffer("A number in the candidate is too large.", "ice")
    if protocol.lower() != "udp" or component != "1" or kind == "prflx":
        return None
    if int(port) < MIN_PORT or "%" in host:
        return None
    if is_local_name(host):
        known = network.names and kind == "host"
        return RemoteCandidate(foundation, int(priority), host, int(port), kind) if known else None
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if network.refuses(address):
        return None
    return RemoteCandidate(foundation, int(priority), str(address), int(port), kind)


def read_offer(sdp: str, network: Network = OURS) -> Offer:
    """Check an offer and take its candidates out, and the sections that are rejected in it.

    Raises `BadOffer`.
    """
    lines = read_lines(sdp)
    kept: list[str] = []
    candidates: list[RemoteCandidate] = []
    refused = 0
    for line in lines:
        if line.startswith("a=candidate:"):
            candidate = read_candidate(line, network)
            if candidate is None or candidate in candidates:
                refused += 1
            else:
                candidates.append(candidate)
        elif line != "a=end-of-candidates":
            kept.append(line)
    if len(candidates) + refused > MAX_CANDIDATES:
        raise BadOffer("The offer has too many candidates.", "ice")
    session, media = split(kept)
    if not 0 < len(media) <= MAX_MEDIA:
        raise BadOffer("The offer has no media, or too many kinds of it.", "media")
    session, media, rejected = take_out(session, media)
    if not media:
        return Offer("", (), (), (), refused + len(candidates), tuple(rejected))
    mids = _names(media)
    main = _main(mids, session)
    kept, transport = _on_one_transport(mids, session, media, media[mids.index(main)])
    return Offer(
        sdp="\r\n".join(kept) + "\r\n",
        sections=tuple(zip(mids, (section[0][2:].split(" ")[0] for section in media), strict=True)),
        transport=tuple(transport),
        candidates=tuple(candidates),
        refused=refused,
        rejected=tuple(rejected),
        main=main,
    )


def read_answer(sdp: str, ours: str, network: Network = OURS) -> Offer:
    """Check the answer to `ours`, an offer. What is rejected in it (RFC 8829, section 5.3.1) reads
    as agreed and inactive: nothing flows either way, and all else is as it was answered.

    Raises `BadOffer`, also when everything is rejected.
    """
    session, media = split(read_lines(sdp))
    _, offered = split(read_lines(ours))
    gone = rejected_in(session, media)
    if not gone:
        return read_offer(sdp, network)
    if len(gone) == len(media):
        raise BadOffer("The answer takes nothing of what was offered.", "media")
    if len(media) != len(offered):
        raise BadOffer("The answer has other media than the offer.", "media")
    session, media = as_inactive(session, media, offered, gone)
    return read_offer("\r\n".join([*session, *itertools.chain(*media)]) + "\r\n", network)


def limited(sdp: str, bits: int) -> str:
    """A description of ours that lets the peer send so many bits per second of pictures.

    In the two forms that browsers look for (RFC 8866, section 5.8, and RFC 3890), where these
    lines belong: after the address of a media section.
    """
    lines, video = [], False
    for line in sdp.splitlines():
        video = line.startswith("m=video") if line.startswith("m=") else video
        lines.append(line)
        if video and line.startswith("c="):
            lines += [f"b=AS:{bits // 1000}", f"b=TIAS:{bits}"]
    return "\r\n".join(lines) + "\r\n"


def _main(mids: list[str], session: list[str]) -> str:
    """The media section whose transport all others use (RFC 9143, section 7.2)."""
    groups = bundles(session)
    if len(mids) == 1 and not groups:
        return mids[0]
    if len(groups) != 1 or sorted(groups[0]) != sorted(mids):
        raise BadOffer("All media of the offer must use one transport.")
    return groups[0][0]


def _names(media: list[list[str]]) -> list[str]:
    """The names (mid) of the media sections."""
    for section in media:
        match = _MEDIA.fullmatch(section[0])
        if match is None or int(match[2]) >= 2**16:
            raise BadOffer("The offer has media that nobody here knows.", "media")
    mids = [mid for section in media for mid in values(section, "a=mid")[:1]]
    if len(set(mids)) != len(media):
        raise BadOffer("Each media line of the offer needs a name of its own.")
    return mids


def _transport(lines: list[str]) -> list[str]:
    """The lines that say how to reach the peer. Raises `BadOffer` if any is missing."""
    found = []
    for name in ("a=ice-ufrag", "a=ice-pwd", "a=setup"):
        said = values(lines, name)
        if not said:
            raise BadOffer("The offer has no ICE or no DTLS parameters.")
        found.append(f"{name}:{said[-1]}")
    fingerprints = [line for line in lines if line.startswith("a=fingerprint:")]
    if not 0 < len(fingerprints) <= MAX_FINGERPRINTS:
        raise BadOffer("The offer has no fingerprint, or too many.", "dtls")
    for line, least in ((found[0], 4), (found[1], 22)):
        value = line.partition(":")[2]
        if not least <= len(value) <= 256 or not _ICE.fullmatch(value):
            raise BadOffer("The ICE parameters of the offer are not of the agreed form.", "ice")
    return [*found, *sorted(fingerprints), *(line for line in lines if line == "a=rtcp-mux")]


def _on_one_transport(
    mids: list[str], session: list[str], media: list[list[str]], main: list[str]
) -> tuple[list[str], list[str]]:
    """The offer with the main section's transport written into all, and that transport.

    Browsers may give other sections an own one, for peers that cannot bundle, or none.
    """
    transport = _transport(session + main)
    kept = [line for line in session if not line.startswith((*TRANSPORT, "a=group:BUNDLE"))]
    # aiortc takes the first section for the main one, whatever the group says.
    kept.append("a=group:BUNDLE " + " ".join(mids))
    for section in media:
        kept += [line for line in section if not line.startswith(TRANSPORT)] + transport
    return kept, transport
