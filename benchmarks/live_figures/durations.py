"""How long callbacks took: the engine's own counts, taken in C."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from nmes_wave._core import Engine


@dataclass(frozen=True)
class Durations:
    """A histogram with eight buckets in each octave of nanoseconds.

    Parameters
    ----------
    counts
        Bucket i holds durations from ``edge_ns(i)`` on.
    longest_ns
        No duration is longer.
    """

    counts: tuple[int, ...]
    longest_ns: int

    @classmethod
    def of(cls, engine: Engine) -> Self:
        """Return those of an engine since it was made."""
        longest, counts = engine.durations_ns()
        return cls(tuple(counts), longest)

    def __sub__(self, before: Durations) -> Durations:
        """Return what came after an earlier moment.

        The longest one may have been before it: then the end of the last bucket
        is all that is known.
        """
        counts = tuple(
            now - then for now, then in zip(self.counts, before.counts, strict=True)
        )
        if self.longest_ns > before.longest_ns:
            return Durations(counts, self.longest_ns)
        last = max((i for i, n in enumerate(counts) if n), default=-1)
        end = 0 if last < 0 else int(edge_ns(last + 1))
        return Durations(counts, min(end, self.longest_ns))

    @property
    def n(self) -> int:
        """Callbacks."""
        return sum(self.counts)

    def quantile_us(self, share: float) -> float:
        """Return what this share of the callbacks does not exceed, in µs.

        Within a bucket, an eighth of an octave, durations are taken as spread
        evenly.
        """
        total = self.n
        if not total:
            raise ValueError("no callback was counted")
        cumulated = np.cumsum(self.counts)
        i = int(np.searchsorted(cumulated, share * total))
        below = cumulated[i] - self.counts[i]
        part = (share * total - below) / self.counts[i]
        low, high = edge_ns(i), min(edge_ns(i + 1), self.longest_ns)
        return float(low + part * (max(high, low) - low)) / 1000

    @property
    def longest_us(self) -> float:
        """The longest, in µs."""
        return self.longest_ns / 1000

    def shares(self, block_us: float) -> tuple[float, float, float]:
        """Return median, 99.9th percentile and longest as shares of a block."""
        us = (self.quantile_us(0.5), self.quantile_us(0.999), self.longest_us)
        return us[0] / block_us, us[1] / block_us, us[2] / block_us

    def to_json(self) -> dict[str, Any]:
        """Return it without the empty buckets."""
        buckets = {str(i): n for i, n in enumerate(self.counts) if n}
        return {"buckets": buckets, "longest_ns": self.longest_ns}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        buckets = {int(i): n for i, n in data["buckets"].items()}
        last = max(buckets, default=-1)
        counts = tuple(buckets.get(i, 0) for i in range(last + 1))
        return cls(counts, data["longest_ns"])


def edge_ns(i: int) -> float:
    """Return where a bucket begins; the first takes what is shorter as well."""
    return (8 + i % 8) * 2.0 ** (i // 8)
