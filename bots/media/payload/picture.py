"""What the payload formats have in common. Pure."""

from __future__ import annotations

from typing import NamedTuple

Payload = bytes | memoryview


class Picture(NamedTuple):
    """A coded picture, or a packet of sound (whose every packet is a keyframe).

    `size`: width and height in pixels, where the data of a keyframe tell it.
    """

    data: bytes
    keyframe: bool
    size: tuple[int, int] | None


def chunks(data: bytes | memoryview, most: int) -> list[bytes]:
    """`data` in as few parts of at most `most` bytes as it takes, of about equal length."""
    count = -(-len(data) // most)
    edges = [len(data) * n // count for n in range(count + 1)]
    return [bytes(data[a:b]) for a, b in zip(edges, edges[1:], strict=False)]


class Bits:
    """Reads bits, the highest of each byte first. Raises `ValueError` at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> int:
        """The next `count` bits as a number."""
        end = self._at + count
        if end > 8 * len(self._data):
            raise ValueError("the header is cut off")
        first, last = self._at // 8, -(-end // 8)
        self._at = end
        return int.from_bytes(self._data[first:last], "big") >> (8 * last - end) & (
            (1 << count) - 1
        )

    def golomb(self) -> int:
        """An unsigned Exp-Golomb number, `ue(v)` (H.264, section 9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("a number is too long")
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_golomb(self) -> int:
        """A signed Exp-Golomb number, `se(v)`."""
        number = self.golomb()
        return (number + 1) // 2 if number & 1 else -(number // 2)
