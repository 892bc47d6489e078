"""Published ranges, and what a protocol has of the same quantities.

A range is what a review recommends or a study tried, no limit: whoever leaves it
is cautioned, never refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from nmes_wave.spec import Channel


class PublishedRange(Protocol):
    """One range; both ends are inside, None is open."""

    @property
    def field(self) -> str:
        """Name of the quantity, as in a preset."""

    @property
    def event(self) -> str | None:
        """``pulse`` or ``burst``: the events that it is for; None: all."""

    @property
    def low(self) -> Any:
        """Lower end."""

    @property
    def high(self) -> Any:
        """Upper end."""

    @property
    def unit(self) -> str:
        """Unit of both."""

    @property
    def source(self) -> str:
        """Where it is from."""


class PublishedRanges(Protocol):
    """Ranges that belong together, as a preset of the kind ``range`` has them."""

    @property
    def name(self) -> str:
        """Name of the preset."""

    @property
    def ranges(self) -> tuple[Any, ...]:
        """The ranges, each a `PublishedRange`."""


_OF_STAGE: dict[str, Callable[[Any], float | None]] = {
    "rate_hz": lambda s: s.train.rate_hz,
    "phase_width_us": lambda s: getattr(s.event, "phase_width_us", None),
    "interphase_gap_us": lambda s: getattr(s.event, "interphase_gap_us", None),
    "recovery_ratio": lambda s: getattr(s.event, "recovery_ratio", None),
    "carrier_hz": lambda s: getattr(s.event, "carrier_hz", None),
    "cycles": lambda s: getattr(s.event, "cycles", None),
    "on_s": lambda s: s.duty_cycle.on_s,
    "off_s": lambda s: s.duty_cycle.off_s,
    "ramp_up_s": lambda s: s.envelope.ramp_up_s,
    "ramp_down_s": lambda s: s.envelope.ramp_down_s,
    "current_ma": lambda s: s.amplitude_ma,
}
_OF_CHANNEL: dict[str, Callable[[Channel], float]] = {
    "contractions": lambda c: c.repeats * sum(s.duty_cycle.repeats for s in c.stages),
    "session_min": lambda c: float(c.exact_end_s) / 60,
}


def is_quantity(field: str) -> bool:
    """Whether a protocol tells this quantity."""
    return field in _OF_STAGE or field in _OF_CHANNEL


def quantities(channel: Channel, field: str, event: str | None) -> Iterator[float]:
    """Yield what a channel has of a quantity: nothing, if a protocol has none.

    Parameters
    ----------
    channel
        The channel.
    field
        Name of the quantity.
    event
        Stages with this type of event alone; None: all.
    """
    stages = [s for s in channel.stages if event in (None, s.event.type_name)]
    if field in _OF_CHANNEL and stages:
        yield _OF_CHANNEL[field](channel)
    elif field in _OF_STAGE:
        found = [_OF_STAGE[field](stage) for stage in stages]
        yield from (value for value in found if value is not None)
