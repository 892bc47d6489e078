"""What is measured, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nmes_wave.limits import Limits
from nmes_wave.output import Output, SampleFormat
from nmes_wave.plan import Plan, build_plan
from nmes_wave.spec import (
    Burst,
    Channel,
    DutyCycle,
    Electrode,
    Envelope,
    Pulse,
    Stage,
    StimProtocol,
    Train,
)

SAMPLE_RATE_HZ = 48_000
AMPLITUDE_MA, FULL_SCALE_MA = 20.0, 100.0
_PULSE = Pulse(phase_width_us=300.0)
_TRAIN = Train(rate_hz=50.0)
_RAMPS = Envelope(ramp_up_s=3.0, ramp_down_s=2.0)
_MINUTE = DutyCycle(on_s=60.0)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A protocol and the way that it is rendered.

    Parameters
    ----------
    name, what
        By which it is chosen; a line for people.
    event, train, envelope, duty_cycle
        Of the one stage that every channel has.
    n_channels, dtype
        Of the output, at 48 kHz.
    takes_turns
        The channels' trains are spread over one period.
    block_frames
        Rendered in pieces of this many frames into the same block; None: whole,
        into one buffer.
    is_dense
        Samples are computed rather than silent: held against a multiply-add
        over the buffer, not against filling it.
    renders
        False: only the plan is built.
    group
        Scenarios of one group are rendered in turn, and compared.
    """

    name: str
    what: str
    event: Pulse | Burst = _PULSE
    train: Train = _TRAIN
    envelope: Envelope = _RAMPS
    duty_cycle: DutyCycle = _MINUTE
    n_channels: int = 8
    dtype: SampleFormat = "int24"
    takes_turns: bool = False
    block_frames: int | None = None
    is_dense: bool = False
    renders: bool = True
    group: str = ""

    def parts(self) -> tuple[StimProtocol, Output, Limits]:
        """Return what the plan is built from.

        The default limits are on; that of the total is as high as the number of
        channels needs.
        """
        channels = tuple(self._channel(i) for i in range(self.n_channels))
        return (
            StimProtocol(name=self.name, channels=channels),
            Output(
                sample_rate_hz=SAMPLE_RATE_HZ,
                full_scale_ma=FULL_SCALE_MA,
                dtype=self.dtype,
            ),
            Limits(max_total_current_ma=max(200.0, AMPLITUDE_MA * self.n_channels)),
        )

    def plan(self) -> Plan:
        """Build it."""
        return build_plan(*self.parts())

    def work(self) -> dict[str, Any]:
        """Return the numbers that a peer renders the same from."""
        burst = self.event if isinstance(self.event, Burst) else None
        pulse = self.event if isinstance(self.event, Pulse) else None
        return {
            "channels": self.n_channels,
            "seconds": self.duty_cycle.on_s,
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "rate_hz": self.train.rate_hz,
            "ramp_up_s": self.envelope.ramp_up_s,
            "ramp_down_s": self.envelope.ramp_down_s,
            "level": AMPLITUDE_MA / FULL_SCALE_MA,
            "phase_width_us": pulse.phase_width_us if pulse else None,
            "carrier_hz": burst.carrier_hz if burst else None,
            "cycles": burst.cycles if burst else None,
        }

    def _channel(self, number: int) -> Channel:
        train = self.train
        if self.takes_turns:
            train = replace(train, phase_deg=360.0 * number / self.n_channels)
        stage = Stage(
            event=self.event,
            train=train,
            envelope=self.envelope,
            duty_cycle=self.duty_cycle,
            amplitude_ma=AMPLITUDE_MA,
        )
        electrodes = (Electrode(area_cm2=25.8),)
        return Channel(name=f"{number}", stages=(stage,), electrodes=electrodes)


def _all() -> list[Scenario]:
    sparse = Scenario(name="sparse-int24", what="50 Hz, 300 µs, 8 channels, 60 s")
    day = replace(sparse, n_channels=1, envelope=Envelope(), block_frames=4096)
    formats: list[SampleFormat] = ["int16", "int32", "float32"]
    found = [
        sparse,
        *(replace(sparse, name=f"sparse-{dtype}", dtype=dtype) for dtype in formats),
        Scenario(
            name="distributed",
            what="4 channels of 10 Hz that take turns, 60 s",
            train=Train(rate_hz=10.0),
            n_channels=4,
            takes_turns=True,
        ),
        Scenario(
            name="russian",
            what="bursts of 25 cycles of a 2.5 kHz sine at 50 Hz, 8 channels, 60 s",
            event=Burst(carrier_hz=2500.0, cycles=25),
            is_dense=True,
        ),
        Scenario(
            name="sweep",
            what="5 cycles of a 2.5 kHz sine, swept 10 to 100 Hz, 8 channels, 60 s",
            event=Burst(carrier_hz=2500.0, cycles=5),
            train=Train(rate_hz=10.0, rate_end_hz=100.0),
            is_dense=True,
        ),
    ]
    # As many samples each, so that only the number of channels differs.
    found += [
        replace(
            sparse,
            name=f"channels-{n}",
            what=f"as sparse, without ramps, {n} channels, {480 / n:g} s",
            group="channels",
            n_channels=n,
            envelope=Envelope(),
            duty_cycle=DutyCycle(on_s=480.0 / n),
        )
        for n in (1, 8, 64, 256)
    ]
    found += [
        replace(
            sparse,
            name=f"blocks-{n}",
            what=f"as sparse, in blocks of {n} frames",
            block_frames=n,
        )
        for n in (16, 64, 256, 1024, 4096)
    ]
    found += [
        replace(
            day,
            name=f"length-{name}",
            what=f"50 Hz, 300 µs, 1 channel, {name} in pieces of 4096",
            group="length",
            duty_cycle=DutyCycle(on_s=seconds),
        )
        for name, seconds in (("1s", 1.0), ("1min", 60.0), ("1h", 3600.0),
                              ("24h", 86_400.0))
    ]  # fmt: skip
    session = replace(
        sparse,
        name="session",
        what="60 min of 10 s on, 50 s off, 8 channels: building the plan",
        duty_cycle=DutyCycle(on_s=10.0, off_s=50.0, repeats=60),
        renders=False,
    )
    return [*found, session]


#: By name, in the order of the table.
SCENARIOS = {scenario.name: scenario for scenario in _all()}
