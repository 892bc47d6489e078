"""Stages, channels and the protocol; and the rule that events never overlap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from nmes_wave.errors import SpecError
from nmes_wave.spec import _file
from nmes_wave.spec._fields import Count, NonNegative_s, Range, Spec, exact
from nmes_wave.spec.event import Event, Pulse
from nmes_wave.spec.train import DutyCycle, Envelope, Train

#: Two times this close, relative to the longer, are equal: events may touch.
TOUCHING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Stage(Spec):
    """Event, train, envelope, duty cycle and amplitude of some on-periods.

    Parameters
    ----------
    event
        A `Pulse`, `Burst` or `CustomPulse`.
    train, duty_cycle, envelope
        How events repeat, when, and how they rise and fall.
    amplitude_ma
        Peak of the event's first phase at envelope 1, in mA.

    Raises
    ------
    SpecError
        If events would overlap, an on-period would have none, ``count`` does
        not fit, or the ramps are longer than the on-period.
    """

    event: Event
    train: Train
    duty_cycle: DutyCycle
    amplitude_ma: Annotated[float, Range(ge=0, unit="mA")]
    envelope: Envelope = field(default_factory=Envelope)

    def _check(self) -> None:
        self._check_ramps()
        self._check_width_envelope()
        self._check_event_fits()
        self._check_count()
        self._check_jitter()
        if self.duty_cycle.repeats > 1:
            self.check_border(self, self.exact_period_s, "Stage.duty_cycle")

    @cached_property
    def exact_on_period_s(self) -> Fraction:
        """Length of one on-period, ramps included, as an exact decimal."""
        on = exact(self.duty_cycle.on_s)
        if not self.duty_cycle.ramps_count_as_on:
            on += exact(self.envelope.ramp_up_s) + exact(self.envelope.ramp_down_s)
        return on

    @cached_property
    def exact_period_s(self) -> Fraction:
        """From one on-period's begin to the next one's."""
        return self.exact_on_period_s + exact(self.duty_cycle.off_s)

    @cached_property
    def exact_duration_s(self) -> Fraction:
        """All duty cycles, the last off-period included."""
        return self.exact_period_s * self.duty_cycle.repeats

    @cached_property
    def on_period_s(self) -> float:
        """Length of one on-period, ramps included."""
        return float(self.exact_on_period_s)

    @cached_property
    def duration_s(self) -> float:
        """All duty cycles, the last off-period included."""
        return float(self.exact_duration_s)

    @cached_property
    def n_events(self) -> int:
        """Events in each on-period; an N-let counts as one."""
        return self.train.count or self.train.n_events_fitting(self.exact_on_period_s)

    @cached_property
    def first_onset_s(self) -> float:
        """Earliest onset of the first event after an on-period's begin."""
        return self.train.onset_s(0, self.on_period_s)

    @cached_property
    def last_end_s(self) -> float:
        """Latest end of the last event after an on-period's begin, jitter included."""
        # With a first interval event 0 has no jitter term of its own to add.
        onset = self.train.onset_s(
            self.n_events - 1, self.on_period_s, self.train.jitter
        )
        return onset + self.train.n_let_span_s + self.event.duration_us * 1e-6

    def check_border(self, after: Stage, step_s: Fraction, place: str) -> None:
        """Refuse if the last event runs into `after`'s first, `step_s` later."""
        end = self.last_end_s
        onset = float(step_s) + after.first_onset_s
        if end > onset * (1 + TOUCHING):
            field_name = f"{place}.off_s" if place.startswith("Stage") else place
            raise SpecError(
                field_name,
                self.duty_cycle.off_s,
                f"the last event of an on-period ends {end:.9g} s after its begin, the "
                f"next on-period's first begins at {onset:.9g} s; leave more time off",
            )

    def _check_ramps(self) -> None:
        ramps = exact(self.envelope.ramp_up_s) + exact(self.envelope.ramp_down_s)
        if ramps > self.exact_on_period_s:
            raise SpecError(
                "Stage.envelope",
                f"ramps of {float(ramps):g} s",
                f"ramp_up_s + ramp_down_s must be at most the on-period, "
                f"{self.on_period_s:g} s",
            )

    def _check_width_envelope(self) -> None:
        if self.envelope.modulates != "width":
            return
        if not isinstance(self.event, Pulse):
            raise self._refuse(
                "envelope", 'modulates="width" works on a Pulse, not on this event'
            )
        ramps = self.envelope.ramp_up_s + self.envelope.ramp_down_s
        if ramps > 0 and self.envelope.start_level <= 0:
            raise SpecError(
                "Stage.envelope.start_level",
                self.envelope.start_level,
                'must be greater than 0 with modulates="width": a phase cannot '
                "have no width",
            )

    def _check_event_fits(self) -> None:
        duration_ms = self.event.duration_us / 1000
        train = self.train
        interval_ms = train.n_let_interval_ms
        if interval_ms is not None and duration_ms > interval_ms * (1 + TOUCHING):
            raise SpecError(
                "Stage.train.n_let_interval_ms",
                interval_ms,
                f"must be at least the event's duration, {duration_ms:g} ms",
            )
        needed_ms = duration_ms + train.n_let_span_s * 1000
        room_ms = train.shortest_interval_s * 1000
        if self.n_events > 1 and needed_ms > room_ms * (1 + TOUCHING):
            raise SpecError(
                "Stage.event",
                f"{needed_ms:g} ms long",
                f"must be at most {room_ms:g} ms, the shortest interval of its train "
                f"({train.highest_rate_hz:g} Hz"
                + (", first interval" if train.first_interval_ms is not None else "")
                + (f", jitter {train.jitter:g}" if train.jitter else "")
                + ")",
            )

    def _check_count(self) -> None:
        fitting = self.train.n_events_fitting(self.exact_on_period_s)
        if fitting == 0:
            raise SpecError(
                "Stage.duty_cycle.on_s",
                self.duty_cycle.on_s,
                f"an on-period of {self.on_period_s:g} s has no event at "
                f"{self.train.rate_hz:g} Hz and phase {self.train.phase_deg:g} "
                "degrees; make it longer",
            )
        if self.train.count is not None and self.train.count > fitting:
            raise SpecError(
                "Stage.train.count",
                self.train.count,
                f"must be at most {fitting}, what fits an on-period of "
                f"{self.on_period_s:g} s",
            )

    def _check_jitter(self) -> None:
        """Refuse a delay past the moment at which a falling sweep would stand still."""
        train = self.train
        if train.rate_end_hz is None or not train.jitter:
            return
        f0, f1 = train.rate_hz, train.rate_end_hz
        last = self.n_events - 1 + train.phase_deg / 360 + train.jitter
        if f0 * f0 + 2 * (f1 - f0) * last / self.on_period_s < 0:
            raise SpecError(
                "Stage.train.jitter",
                train.jitter,
                f"delays the last event past the end of the sweep from {f0:g} to "
                f"{f1:g} Hz, where no onset exists; use less jitter or a higher "
                "rate_end_hz",
            )


@dataclass(frozen=True, kw_only=True)
class Electrode(Spec):
    """One electrode of a channel.

    Parameters
    ----------
    area_cm2
        Conductive area; the smallest electrode counts for densities.
    description
        Free text.
    """

    area_cm2: Annotated[float, Range(gt=0, unit="cm²")]
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Channel(Spec):
    """One stimulator output: stages one after the other, and its electrodes.

    Parameters
    ----------
    name
        Name, unique in the protocol.
    stages
        Delivered one after the other; each lasts its whole duty cycles.
    electrodes
        What it is connected to; may be empty.
    start_s
        Delay of the first stage.
    repeats
        Runs the list of stages again and again.

    Raises
    ------
    SpecError
        If a stage's last event runs into the next stage's first.
    """

    name: str
    stages: tuple[Stage, ...]
    electrodes: tuple[Electrode, ...] = ()
    start_s: NonNegative_s = 0.0
    repeats: Count = 1

    def _check(self) -> None:
        if not self.name.strip():
            raise self._refuse("name", "must not be empty")
        if not self.stages:
            raise self._refuse("stages", "needs at least one stage")
        followers = list(zip(self.stages, self.stages[1:], strict=False))
        if self.repeats > 1:
            followers.append((self.stages[-1], self.stages[0]))
        for i, (stage, after) in enumerate(followers):
            place = f"Channel.stages[{i}].duty_cycle.off_s"
            stage.check_border(after, stage.exact_period_s, place)

    @property
    def exact_pass_s(self) -> Fraction:
        """One run through the list of stages."""
        return sum((s.exact_duration_s for s in self.stages), Fraction(0))

    @property
    def exact_end_s(self) -> Fraction:
        """End of the last stage, the delay included."""
        return exact(self.start_s) + self.exact_pass_s * self.repeats

    @property
    def n_pulses(self) -> int:
        """Events delivered, the members of an N-let apart."""
        once = sum(
            s.n_events * s.train.n_let * s.duty_cycle.repeats for s in self.stages
        )
        return once * self.repeats

    @property
    def smallest_area_cm2(self) -> float | None:
        """Area of the smallest electrode; None without electrodes."""
        return min((e.area_cm2 for e in self.electrodes), default=None)


@dataclass(frozen=True, kw_only=True)
class StimProtocol(Spec):
    """All channels together.

    Parameters
    ----------
    name
        Title.
    channels
        The channels, in the order of the output's columns.
    description
        Free text.

    Raises
    ------
    SpecError
        Without channels, or with two of one name.
    """

    name: str
    channels: tuple[Channel, ...]
    description: str = ""

    def _check(self) -> None:
        if not self.name.strip():
            raise self._refuse("name", "must not be empty")
        if not self.channels:
            raise self._refuse("channels", "needs at least one channel")
        names = [c.name for c in self.channels]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise SpecError(
                    f"StimProtocol.channels[{i}].name", name, "must be unique"
                )

    @property
    def duration_s(self) -> float:
        """End of the longest channel."""
        return float(max(c.exact_end_s for c in self.channels))

    def with_stages(self, change: Callable[[Stage], Stage]) -> StimProtocol:
        """Return a protocol whose stages are what `change` makes of these."""
        channels = [
            replace(channel, stages=tuple(map(change, channel.stages)))
            for channel in self.channels
        ]
        return replace(self, channels=tuple(channels))

    def to_toml(self) -> str:
        """Return the protocol as TOML; None and defaults are left out."""
        return _file.to_toml(self)

    @classmethod
    def from_toml(cls, text: str) -> StimProtocol:
        """Read a protocol from TOML.

        Raises
        ------
        FormatError
            If the text is not TOML, or of another format version.
        SpecError
            For an unknown key (with the nearest valid name), a missing or a
            wrong value; the error's field is its place in the file.
        """
        return _file.from_toml(cls, text)

    @classmethod
    def load(cls, path: str | Path) -> StimProtocol:
        """Read a protocol file; errors as in `from_toml`."""
        return _file.load(cls, path)

    def save(self, path: str | Path) -> None:
        """Write the protocol to a file, replacing it only when all is written."""
        _file.save(self, path)


def protocol_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a protocol file."""
    return _file.schema(StimProtocol)
