"""How long each step of setting up the call took. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from .observed import Direction, Observed
from .span import offsets
from .units import about

_SIGNALLING = ("ringing", "answered")


@dataclass(frozen=True, slots=True)
class Setup:
    """Seconds since the call was placed, by the caller's clock. `ringing` and `answered` as the
    caller heard of them, the rest at the receiver of this direction."""

    ringing: float | None = field(default=None, metadata=about("time", "the telephone rings"))
    answered: float | None = field(default=None, metadata=about("time", "it was answered"))
    gathered: float | None = field(default=None, metadata=about("time", "candidates are known"))
    checked: float | None = field(default=None, metadata=about("time", "a first check came back"))
    ice: float | None = field(default=None, metadata=about("time", "ICE has a pair"))
    dtls: float | None = field(default=None, metadata=about("time", "DTLS has keys"))
    packet: float | None = field(default=None, metadata=about("time", "the first packet"))
    picture: float | None = field(
        default=None, metadata=about("time", "the first identified picture was shown")
    )
    sound: float | None = field(
        default=None, metadata=about("time", "the first identified marked sound was heard")
    )


def setup(
    direction: Direction, observed: Observed, picture: float | None, sound: float | None
) -> Setup:
    """`picture` and `sound`: when the first of each came, by the receiver's clock."""
    known = offsets(observed)
    times = dict[tuple[str, str], float]()
    for step in observed.steps:
        if step.side in known:
            times.setdefault((step.side, step.name), step.at - known[step.side])
    placed = next((s.side for s in observed.steps if s.name == "placed"), None)
    if placed is None or direction.receiver not in known:
        return Setup()
    start = times[placed, "placed"]

    def since(name: str) -> float | None:
        at = times.get((placed if name in _SIGNALLING else direction.receiver, name))
        return None if at is None else at - start

    def here(at: float | None) -> float | None:
        return None if at is None else at - known[direction.receiver] - start

    return Setup(
        ringing=since("ringing"),
        answered=since("answered"),
        gathered=since("gathered"),
        checked=since("checked"),
        ice=since("ice"),
        dtls=since("dtls"),
        packet=since("packet"),
        picture=since("picture") if picture is None else here(picture),
        sound=since("sound") if sound is None else here(sound),
    )
