"""How much the path between us and a peer carries, each way (draft-ietf-rmcat-gcc-02).

Pure: time comes in as an argument. Who sends goes by the losses that the peer reports and by the
bit rate it asks for (section 6, `SendRate`). Who receives sees a queue grow on the way before
anything is lost: pictures come later and later for their timestamps (section 5, `ReceiveRate`).

Where programs in use have left the draft, so do we: what the filter gives is compared with the
threshold as it adds up over `SAMPLES` pictures, or a queue that grows slowly would never be
seen; and the threshold falls again as fast as theirs.
"""

from __future__ import annotations

import math
from collections import deque

LEAST = 60_000
"""Bits per second below which pictures are no pictures any more."""

# Section 6: losses that let the rate grow, and that let it fall.
FEW, MANY = 0.02, 0.1
GROW = 1.05
ENOUGH = 20
GROW_EVERY, FALL_EVERY = 1.0, 0.3

# Section 5.6 (table 1).
STATE_NOISE = 1e-3
FIRST_ERROR, FIRST_NOISE = 0.1, 50.0
CHI = 0.01
FIRST_THRESHOLD, LEAST_THRESHOLD, MOST_THRESHOLD = 12.5, 6.0, 600.0
OVERUSE_TIME = 0.010
UP, DOWN = 0.0087, 0.039
BETA = 0.85
WINDOW = 1.0
SAMPLES = 60
STRANGE = 15.0

PAUSE = 2.0
"""Seconds between two pictures after which nothing is to be learned from them."""
MOST_GROUPS = 256
RESPONSE = 0.3
"""Seconds from what we say to what comes of it, where it is not known: a round trip and 0.1 s."""
HURRY = 0.97


class SendRate:
    """What we may send, in bits per second: `bits`, from `LEAST` to `most`.

    It falls with losses above a tenth, grows while they are below a fiftieth, and is never
    more than what the peer asks for.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._by_loss = float(most)
        self._asked = math.inf
        self._lost = 0.0
        self._expected = 0
        self._grown_at = self._fallen_at = -math.inf

    @property
    def bits(self) -> int:
        """What may be sent now."""
        return round(max(LEAST, min(self._by_loss, self._asked, self.most)))

    @property
    def carried(self) -> float:
        """What the path carries by the losses there were, infinite where they say nothing.

        What the peer asks for is left out: a browser's estimate follows what it is sent.
        """
        return self._by_loss if self._by_loss < self.most else math.inf

    def asked(self, bits: int) -> None:
        """The peer wants no more than this (REMB)."""
        self._asked = bits

    def reported(self, fraction: float, expected: int, round_trip: float, now: float) -> None:
        """The peer reports that it lost a fraction of so many packets. What is too few to judge
        by is kept for the next report; `round_trip` in seconds."""
        self._lost += fraction * expected
        self._expected += expected
        if self._expected < ENOUGH:
            return
        loss, self._lost, self._expected = self._lost / self._expected, 0.0, 0
        if loss > MANY and now - self._fallen_at >= FALL_EVERY + round_trip:
            # What was asked for is what was sent: losses say that less than that is carried.
            self._by_loss = max(LEAST, min(self._by_loss, self._asked) * (1 - loss / 2))
            self._fallen_at = now
        elif loss < FEW and now - self._grown_at >= GROW_EVERY:
            self._by_loss = min(self.most, self._by_loss * GROW)
            self._grown_at = now


class Delay:
    """How much longer each picture is on its way than the one before: the Kalman filter of
    section 5.3. `trend` is that in milliseconds."""

    def __init__(self) -> None:
        self.trend = 0.0
        self._error = FIRST_ERROR
        self._noise = FIRST_NOISE

    def put(self, variation: float, interval: float) -> None:
        """The delay of a picture less that of the one before (ms), and the seconds that the
        sender let pass between them."""
        surprise = variation - self.trend
        most = 3 * math.sqrt(self._noise)
        bounded = max(-most, min(most, surprise))
        old = (1 - CHI) ** (30 * interval)
        self._noise = max(1.0, old * self._noise + (1 - old) * bounded**2)
        error = self._error + STATE_NOISE
        gain = error / (self._noise + error)
        self.trend += bounded * gain
        self._error = (1 - gain) * error


class Detector:
    """Whether the path carries more than it can: `over`, and `under` while queues drain.
    The adaptive threshold of section 5.4."""

    def __init__(self) -> None:
        self.over = self.under = False
        self._threshold = FIRST_THRESHOLD
        self._above, self._times = 0.0, 0
        self._before = 0.0

    def put(self, trend: float, samples: int, interval: float) -> None:
        """The trend after so many pictures, `interval` seconds after the last one."""
        value = trend * min(samples, SAMPLES)
        self.under = value < -self._threshold
        if value <= self._threshold:
            self._above, self._times, self.over = 0.0, 0, False
        else:
            self._above, self._times = self._above + interval, self._times + 1
        if self._above > OVERUSE_TIME and self._times > 1 and trend >= self._before:
            self.over = True
        self._before = trend
        apart = abs(value) - self._threshold
        if apart <= STRANGE:
            speed = DOWN if apart < 0 else UP
            moved = self._threshold + apart * speed * min(100.0, 1000 * interval)
            self._threshold = max(LEAST_THRESHOLD, min(MOST_THRESHOLD, moved))


class ReceiveRate:
    """What the peer may send us, in bits per second: `bits`, at most `most`.

    All that is allowed until a queue is seen to grow, then by the rules of section 5.5. `hurry`
    is set when it fell so far that the peer is to hear of it at once.
    """

    def __init__(self, most: int) -> None:
        self.hurry = False
        self._most = most
        self._bits = math.inf
        self._delay = Delay()
        self._detector = Detector()
        self._last: tuple[int, float] | None = None
        self._samples = 0
        self._came: deque[tuple[float, int]] = deque(maxlen=MOST_GROUPS)
        self._fallen_at = -math.inf
        self._full: float | None = None
        self._spread = 0.4
        self._changed_at = 0.0

    @property
    def bits(self) -> int:
        """What the peer may send now."""
        return round(max(LEAST, min(self._bits, self._most)))

    def picture(self, timestamp: int, rate: int, octets: int, now: float) -> None:
        """The last packet of a picture has come: its RTP timestamp of `rate` ticks a second, and
        how many octets the source has sent us until now."""
        self._came.append((now, octets))
        while now - self._came[0][0] > WINDOW and len(self._came) > 2:
            self._came.popleft()
        last = self._last
        ahead = (timestamp - last[0] + 0x80000000 & 0xFFFFFFFF) - 0x80000000 if last else 0
        if last is not None and -PAUSE * rate < ahead <= 0:
            return  # older than one that came already
        self._last = timestamp, now
        if last is None or not 0 < ahead < PAUSE * rate:
            self._restart(now)
            return
        interval = ahead / rate
        self._samples += 1
        self._delay.put(1000 * (now - last[1] - interval), interval)
        self._detector.put(self._delay.trend, self._samples, now - last[1])
        self._decide(now)

    def _restart(self, now: float) -> None:
        """After a pause, or with another clock: what was seen says nothing of what comes."""
        self._delay, self._detector, self._samples = Delay(), Detector(), 0
        self._came = deque([self._came[-1]], maxlen=MOST_GROUPS)
        self._changed_at = now

    def _decide(self, now: float) -> None:
        measured = self._measured()
        passed, self._changed_at = now - self._changed_at, now
        if measured is None:
            return
        if self._detector.over:
            # Once more only when the peer has had time to send less.
            if now - self._fallen_at >= RESPONSE:
                self._fallen_at = now
                self._fall(measured)
        elif self._bits < math.inf and not self._detector.under:
            self._grow(measured, passed)

    def _fall(self, measured: float) -> None:
        """The queue grows: a little less than what arrives is what the path carries."""
        before = self.bits
        self._bits = min(before, max(LEAST, BETA * measured))
        self.hurry = self.hurry or self._bits < HURRY * before
        if self._full is not None and abs(measured - self._full) > 3 * self._deviation():
            self._full = None
        near = self._full if self._full is not None else measured
        self._full = near + 0.05 * (measured - near)
        miss = (measured - self._full) ** 2 / self._full
        self._spread = max(0.4, min(2.5, 0.95 * self._spread + 0.05 * miss / 1000))

    def _deviation(self) -> float:
        return math.sqrt(self._spread * 1000 * (self._full or 0.0))

    def _grow(self, measured: float, passed: float) -> None:
        if self._full is not None and measured > self._full + 3 * self._deviation():
            self._full = None
        if self._full is None:
            grown = self._bits * 1.08 ** min(passed, 1.0)
        else:
            a_picture = self._bits / 30
            a_packet = a_picture / math.ceil(a_picture / (1200 * 8))
            grown = self._bits + max(1000 * passed, 0.5 * min(passed / RESPONSE, 1.0) * a_packet)
        # Only what is made use of shows that more is carried.
        if grown <= 1.5 * measured + 10_000:
            self._bits = grown

    def _measured(self) -> float | None:
        """Bits per second that arrived of late; None before there is enough to tell."""
        (first, before), (last, after) = self._came[0], self._came[-1]
        if last - first < WINDOW / 2:
            return None
        return 8 * (after - before) / (last - first)
