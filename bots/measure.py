"""What a call sends and receives, as numbers that can be shown and judged."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from .dial import Dialled
from .media.endpoint import Endpoint
from .values import Kind


@dataclass(slots=True)
class Flow:
    """One kind of media in both directions. `expected` in a direction: it was agreed on and,
    as far as the other side says, not switched off."""

    kind: Kind
    codec: str | None = None
    sent: int = 0
    sent_frames: int = 0
    received: int = 0
    received_frames: int = 0
    expects_sent: bool = False
    expects_received: bool = False

    @property
    def flowed(self) -> bool:
        """Whether all that was expected has come about."""
        sent = self.sent > 0 or not self.expects_sent
        return sent and (self.received_frames > 0 or not self.expects_received)


@dataclass(slots=True)
class Measured:
    """A call at one moment. Times in ms since it was placed, loss as a fraction."""

    flows: list[Flow] = field(default_factory=list)
    loss: float | None = None
    loss_at_peer: float | None = None
    round_trip_ms: int | None = None

    @property
    def flowed(self) -> bool:
        """Whether media flowed in every direction in which it was expected, and in any."""
        return (
            bool(self.flows)
            and all(flow.flowed for flow in self.flows)
            and any(flow.received_frames or flow.sent for flow in self.flows)
        )


def measure(call: Dialled) -> Measured:
    """What there is to measure of a call just now."""
    plane = call.plane
    if plane is None or not call.connected.is_set():
        return Measured()
    media = {"audio": call.media.audio, "video": call.media.video}
    outgoing = list(plane.outgoing.values())
    trips = [t.round_trip for t in outgoing if t.round_trip is not None]
    losses = [t.loss for t in outgoing if t.loss is not None]
    return Measured(
        flows=[_flow(plane, kind, media[kind]) for kind in call.kinds],
        loss=plane.loss,
        loss_at_peer=max(losses, default=None),
        round_trip_ms=round(1000 * max(trips)) if trips else None,
    )


def _flow(plane: Endpoint, kind: Kind, wanted: bool) -> Flow:
    flow = Flow(kind)
    for out in plane.outgoing.values():
        if out.kind == kind:
            flow.codec = flow.codec or out.codec
            flow.sent += out.stream.packets
            flow.sent_frames += out.frames
            flow.expects_sent = flow.expects_sent or out.active
    for track in plane.incoming.values():
        if track.kind == kind:
            flow.codec = track.codec or flow.codec
            flow.received += track.stats.packets
            flow.received_frames += track.stats.frames
            flow.expects_received = flow.expects_received or (track.active and wanted)
    return flow


def as_json(call: Dialled, measured: Measured, ok: bool) -> dict[str, Any]:
    """What became of a call, for programs."""
    reached = {f"{state}_ms": round(1000 * at) for state, at in call.times.reached.items()}
    ended = call.ended
    return {
        "ok": ok,
        "call": call.id,
        "to": call.to,
        **reached,
        "reason": ended.reason.value if ended is not None else None,
        "message": ended.message if ended is not None else None,
        "part": ended.part if ended is not None else None,
        "loss": measured.loss,
        "loss_at_peer": measured.loss_at_peer,
        "round_trip_ms": measured.round_trip_ms,
        "media": {flow.kind: asdict(flow) for flow in measured.flows},
    }
