"""Output modes: the distinct settings of a protocol's stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from nmes_wave.device_report.quantity import given, one_line
from nmes_wave.plot.captions import clock, event_words
from nmes_wave.spec import (
    Burst,
    Channel,
    CustomPulse,
    DutyCycle,
    Envelope,
    Event,
    Pulse,
    Stage,
    StimProtocol,
    Train,
)


@dataclass(frozen=True, kw_only=True)
class Use:
    """A stage that is set to a mode."""

    channel: Channel
    stage: int


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One output mode: stages of one event, train, envelope, time and amplitude.

    Stages that differ only in how often the on-period comes, in the phase of
    their train or in the seed of its jitter are one mode: none of these changes
    the pulse, the train or a row of the tables.

    Attributes
    ----------
    number
        From 1, in the order in which the protocol names them.
    uses
        The stages set to it, by channel and stage.
    """

    number: int
    uses: tuple[Use, ...]

    @property
    def stage(self) -> Stage:
        """The first of its stages; the others are like it."""
        return self.uses[0].channel.stages[self.uses[0].stage]

    @property
    def name(self) -> str:
        """``Mode 1: 300 µs per phase, 35 Hz, 100 mA``."""
        stage = self.stage
        rate = given(stage.train.rate_hz, "Hz")
        if stage.train.rate_end_hz is not None:
            rate = f"{stage.train.rate_hz:g} to {given(stage.train.rate_end_hz, 'Hz')}"
        words = [event_words(stage.event), rate, given(stage.amplitude_ma, "mA")]
        return f"Mode {self.number}: {', '.join(words)}"

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of its channels, each with the stages that are set to it."""
        stages: dict[str, list[str]] = {}
        several = {use.channel.name: len(use.channel.stages) > 1 for use in self.uses}
        for use in self.uses:
            stages.setdefault(use.channel.name, []).append(str(use.stage))
        return tuple(
            one_line(name) + f" (stage {', '.join(numbers)})" * several[name]
            for name, numbers in stages.items()
        )

    @property
    def smallest_area_cm2(self) -> float | None:
        """Area of the smallest electrode on its channels; None without any."""
        areas = (use.channel.smallest_area_cm2 for use in self.uses)
        return min((area for area in areas if area is not None), default=None)

    @property
    def without_electrodes(self) -> tuple[str, ...]:
        """Names of its channels that have no electrodes."""
        names = (u.channel.name for u in self.uses if not u.channel.electrodes)
        return tuple(map(one_line, dict.fromkeys(names)))

    def by_channel(self, change: Callable[[Stage], Stage]) -> Iterator[Channel]:
        """Yield its channels with its stages changed and all others silent.

        What lies between its stages stays as long as it is: one second can see
        several of them, and several passes of a channel.
        """
        own: dict[Channel, set[int]] = {}
        for use in self.uses:
            own.setdefault(use.channel, set()).add(use.stage)
        for channel, numbers in own.items():
            stages = tuple(
                change(stage) if s in numbers else replace(stage, amplitude_ma=0.0)
                for s, stage in enumerate(channel.stages)
            )
            yield replace(channel, stages=stages)

    def settings(self) -> dict[str, str]:
        """Return every parameter that makes the mode, with its unit."""
        stage = self.stage
        train, envelope, on_s = stage.train, stage.envelope, stage.on_period_s
        rate = given(train.rate_hz, "Hz")
        if train.rate_end_hz is not None:
            rate = f"{train.rate_hz:g} Hz to {given(train.rate_end_hz, 'Hz')}"
        out = {"amplitude": given(stage.amplitude_ma, "mA")}
        out |= _event_settings(stage.event)
        out["rate"] = rate
        if train.n_let > 1:
            interval = given(train.n_let_interval_ms or 0.0, "ms")
            out["N-let"] = f"{train.n_let} events, {interval} apart"
        if train.first_interval_ms is not None:
            out["first interval"] = given(train.first_interval_ms, "ms")
        if train.jitter:
            out["jitter"] = f"0 to {train.jitter:g} of a period"
        if train.count is not None:
            out["count"] = f"{train.count} per on-period"
        if train.alternate_polarity:
            out["polarity alternates"] = "every second event is negated"
        out["on"] = given(on_s, "s")
        out["off"] = given(stage.duty_cycle.off_s, "s")
        out["ramp up"] = given(envelope.ramp_up_s, "s")
        out["ramp down"] = given(envelope.ramp_down_s, "s")
        if envelope.ramp_up_s or envelope.ramp_down_s:
            out["ramps"] = (
                f"{envelope.shape}, of the {envelope.modulates}, "
                f"from {envelope.start_level:g} of full level"
            )
        return out

    def extras(self) -> Iterator[tuple[str, str]]:
        """Yield what row 16 names: name and text."""
        train, envelope = self.stage.train, self.stage.envelope
        settings = self.settings()
        if envelope.ramp_up_s or envelope.ramp_down_s:
            words = f"up {settings['ramp up']}, down {settings['ramp down']}"
            yield (
                "ramps",
                f"{words}; {settings['ramps']}; part of the ON time",
            )
        for name in ("N-let", "first interval", "jitter", "count"):
            if name in settings:
                yield name, settings[name]
        if train.rate_end_hz is not None:
            yield "sweep", f"{settings['rate']}, linear over each ON time"
        if train.alternate_polarity:
            yield "alternating polarity", settings["polarity alternates"]
        event = self.stage.event
        if isinstance(event, Pulse) and event.interphase_gap_us:
            yield "interphase gap", given(event.interphase_gap_us, "µs")
        phases = sorted({u.channel.stages[u.stage].train.phase_deg for u in self.uses})
        if phases != [0.0]:
            words = ", ".join(f"{phase:g}°" for phase in phases)
            yield "phase of the train", f"{words} of a period (by channel)"
        yield "duration", self._duration()

    def _duration(self) -> str:
        found = set()
        for use in self.uses:
            stage = use.channel.stages[use.stage]
            n = stage.duty_cycle.repeats * use.channel.repeats
            length = clock(stage.duration_s * use.channel.repeats)
            found.add(f"{n:,} ON period{'s' * (n > 1)}, {length} with the OFF times")
        return "; or ".join(sorted(found))


def _event_settings(event: Event) -> dict[str, str]:
    sign = "positive first" if event.polarity == 1 else "negative first"
    if isinstance(event, Burst):
        return {
            "carrier": given(event.carrier_hz, "Hz"),
            "cycles": f"{event.cycles} per burst",
            "shape": event.shape,
            "polarity": sign,
        }
    if isinstance(event, CustomPulse):
        return {
            "custom shape": f"{len(event.points)} points",
            "duration": given(event.duration_us, "µs"),
            "polarity": "as described" if event.polarity == 1 else "negated",
        }
    out = {
        "phase width": given(event.phase_width_us, "µs"),
        "shape": event.shape.replace("_", " "),
        "polarity": sign,
    }
    if not event.balanced:
        return out | {"recovery phase": "none (monophasic)"}
    recovery = (
        f"{given(event.recovery_width_us, 'µs')} at level {event.recovery_level:.4g}"
    )
    if event.effective_recovery_shape != event.shape:
        recovery += f", {event.effective_recovery_shape.replace('_', ' ')}"
    return out | {
        "gap": given(event.interphase_gap_us, "µs"),
        "recovery phase": recovery,
    }


def ramped(stage: Stage) -> bool:
    """Whether events of the stage are below full level."""
    envelope = stage.envelope
    return envelope.ramp_up_s + envelope.ramp_down_s > 0 and envelope.start_level < 1


def flat(stage: Stage) -> Stage:
    """Return the stage with one on-period, all of it at full level."""
    on = DutyCycle(on_s=stage.on_period_s)
    return replace(stage, envelope=Envelope(), duty_cycle=on)


def modes_of(protocol: StimProtocol) -> tuple[Mode, ...]:
    """Return the modes of a protocol, in the order in which it names them."""
    uses: dict[tuple[object, ...], list[Use]] = {}
    for channel in protocol.channels:
        for s, stage in enumerate(channel.stages):
            found = uses.setdefault(_setting(stage), [])
            found.append(Use(channel=channel, stage=s))
    return tuple(
        Mode(number=i, uses=tuple(found)) for i, found in enumerate(uses.values(), 1)
    )


def _setting(stage: Stage) -> tuple[object, ...]:
    train, duty_cycle = stage.train, stage.duty_cycle
    own = {f: getattr(train, f) for f in Train.__dataclass_fields__}
    for other in ("phase_deg", "seed"):
        del own[other]
    times = (stage.exact_on_period_s, duty_cycle.off_s)
    return (stage.event, *own.values(), stage.envelope, times, stage.amplitude_ma)
