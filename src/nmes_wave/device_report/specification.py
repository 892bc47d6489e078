"""Section 3, the output specifications of one mode: rows 1 to 16."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nmes_wave.device_report.delivered import Delivered, deliver
from nmes_wave.device_report.density import charge_rows, density_rows
from nmes_wave.device_report.exposed import expose
from nmes_wave.device_report.integers import NetCodes
from nmes_wave.device_report.modes import Mode
from nmes_wave.device_report.quantity import given, ohms, result, step
from nmes_wave.device_report.rows import Entry, Row, number, words
from nmes_wave.device_report.waveform import phases_row, shape_row, waveform_row
from nmes_wave.spec import Burst, Event, Pulse

#: Loads of the guidance, ohm.
LOADS_OHM = (500.0, 2000.0, 10_000.0)
_ONE_SETTING = (
    "Note 5: the only setting of this mode; other settings are modes of their own."
)


@dataclass(frozen=True, kw_only=True)
class Specification:
    """The table of one mode.

    Attributes
    ----------
    mode
        Which mode.
    compliance_v
        Highest voltage of the current source.
    tolerance_percent
        Of voltage and current, as the maker states it; None: not known.
    net_codes
        What one event adds up to on the output's integers.
    described
        The events of the mode's stages as described, before an output rounds them.
    coupling
        Of the output, ``ac`` or ``dc``.
    """

    mode: Mode
    compliance_v: float
    tolerance_percent: float | None
    net_codes: NetCodes
    described: tuple[Event, ...]
    coupling: str

    def rows(self) -> tuple[Row, ...]:
        """Return the sixteen rows, in the guidance's order."""
        event = self.mode.stage.event
        exposed = expose(self.mode, self.compliance_v)
        return (
            waveform_row(event, self.mode.stage.train.alternate_polarity),
            shape_row(event),
            self._voltage(),
            self._current(),
            Row(
                number="5",
                name="Pulse width",
                entries=(*_widths(self.mode), *self._rounded()),
                note=_ONE_SETTING,
            ),
            Row(
                number="6",
                name="Frequency",
                entries=tuple(_frequencies(self.mode)),
                note=_ONE_SETTING,
            ),
            Row(
                number="7",
                name="Interferential modes only: beat frequency",
                entries=(words("not applicable"),),
                note="The software has no interferential mode: each channel drives "
                "electrodes of its own.",
            ),
            phases_row(event),
            *charge_rows(
                self.mode, exposed, self.net_codes, self.coupling, self._unbalanced()
            ),
            *density_rows(self.mode, exposed),
            _burst(self.mode),
            *_times(self.mode),
            Row(
                number="16",
                name="Additional features",
                entries=tuple(
                    words(text, label=name) for name, text in self.mode.extras()
                ),
            ),
        )

    def _rounded(self) -> Iterator[Entry]:
        """Yield what was described, where the output delivers another width."""
        event = self.mode.stage.event
        others = dict.fromkeys(e for e in self.described if e != event)
        for other in others:
            text = (
                f"{given(other.phase_width_us, 'µs')}, whole pulse "
                f'{given(other.duration_us, "µs")}; edges="snap" rounds to whole frames'
            )
            yield words(text, label="described first phase")

    def _voltage(self) -> Row:
        entries = []
        for load_ohm in LOADS_OHM:
            event, load = self._into(load_ohm), ohms(load_ohm)
            asked_v = event.set_ma * load_ohm / 1000
            reached_v = min(asked_v, self.compliance_v)
            limit = given(self.compliance_v, "V")
            current = given(event.set_ma, "mA")
            calculation = (
                f"V = min(I·R, Vc) = min({current} · {load}, {limit}) = "
                f"min({step(asked_v, 'V')}, {limit}) = {result(reached_v, 'V')}"
            )
            how = self._how(event)
            label = f"@ {load}"
            entries.append(number(reached_v, "V", calculation, label=label, how=how))
        name = "Maximum output voltage"
        return Row(number="3", name=name, entries=tuple(entries), note=self._tolerance)

    def _current(self) -> Row:
        entries = []
        for load_ohm in LOADS_OHM:
            event, load = self._into(load_ohm), ohms(load_ohm)
            limit, current = given(self.compliance_v, "V"), given(event.set_ma, "mA")
            calculation = (
                f"I = min(I_set, Vc/R) = min({current}, {limit} / {load}) = "
                f"min({current}, {step(event.compliance_ma, 'mA')}) = "
                f"{result(event.peak_ma, 'mA')}"
            )
            how = self._how(event)
            label, ma = f"@ {load}", event.peak_ma
            entries.append(number(ma, "mA", calculation, label=label, how=how))
        name = "Maximum output current"
        return Row(number="4", name=name, entries=tuple(entries), note=self._tolerance)

    def _into(self, load_ohm: float) -> Delivered:
        stage = self.mode.stage
        return deliver(stage.event, stage.amplitude_ma, load_ohm, self.compliance_v)

    def _unbalanced(self) -> dict[float, float]:
        event = self.mode.stage.event
        if not isinstance(event, Burst) and not event.balanced:
            return {}
        net = {load_ohm: self._into(load_ohm).net_uc for load_ohm in LOADS_OHM}
        return {load_ohm: net_uc for load_ohm, net_uc in net.items() if net_uc}

    def _how(self, event: Delivered) -> str:
        part = self.tolerance_percent
        how = "" if part is None else f" ± {part:g} %"
        return f"{how}, limited by the compliance voltage" if event.clipped else how

    @property
    def _tolerance(self) -> str:
        if self.tolerance_percent is None:
            return "± %: not known to the software; to be stated by the manufacturer."
        return "± % as given by the user; not measured."


# -- rows 5 and 6 ----------------------------------------------------------------


def _widths(mode: Mode) -> Iterator[Entry]:
    event, envelope = mode.stage.event, mode.stage.envelope
    high_us, low_us = event.phase_width_us, event.phase_width_us
    if envelope.modulates == "width" and envelope.ramp_up_s + envelope.ramp_down_s:
        low_us *= envelope.start_level
    value: float | tuple[float, float] = high_us
    text = given(high_us, "µs")
    if low_us < high_us:
        value = (low_us, high_us)
        text = f"{low_us:.6g} to {text}: the ramps change it"
    of_burst = isinstance(event, Burst)
    label = "half a carrier cycle" if of_burst else "first phase"
    yield Entry(label=label, value=value, unit="µs", text=text)
    whole, calculation = given(event.duration_us, "µs"), ""
    if isinstance(event, Pulse) and event.balanced:
        calculation = (
            f"{given(high_us, 'µs')} + gap {given(event.interphase_gap_us, 'µs')} + "
            f"{given(event.recovery_width_us, 'µs')} = {whole}"
        )
    yield Entry(
        label="whole burst" if of_burst else "whole pulse",
        value=event.duration_us,
        unit="µs",
        text=whole,
        calculation=calculation,
    )


def _frequencies(mode: Mode) -> Iterator[Entry]:
    event, train = mode.stage.event, mode.stage.train
    of_burst = isinstance(event, Burst)
    if isinstance(event, Burst):
        text = given(event.carrier_hz, "Hz")
        yield Entry(label="carrier", value=event.carrier_hz, unit="Hz", text=text)
    label = "bursts" if of_burst else "pulses"
    if train.n_let > 1:
        label = f"groups of {train.n_let} {label}"
    value: float | tuple[float, float] = train.rate_hz
    text = given(train.rate_hz, "Hz")
    if train.rate_end_hz is not None:
        low, high = sorted((train.rate_hz, train.rate_end_hz))
        value = (low, high)
        text = f"{train.rate_hz:g} to {given(train.rate_end_hz, 'Hz')}, a linear sweep"
    yield Entry(label=label, value=value, unit="Hz", text=text)
    if train.first_interval_ms is not None:
        first = given(train.first_interval_ms, "ms")
        hz = 1000 / train.first_interval_ms
        calculation = f"1 / {first} = {result(hz, 'Hz')}"
        yield number(hz, "Hz", calculation, label="in the first interval")


# -- rows 13 to 15 ---------------------------------------------------------------


def _burst(mode: Mode) -> Row:
    event, train = mode.stage.event, mode.stage.train
    name = "Burst mode"
    if not isinstance(event, Burst) and train.n_let == 1:
        return Row(number="13", name=name, entries=(words("not applicable"),))
    bursts_hz, length_s, note = train.highest_rate_hz, event.duration_us * 1e-6, ""
    if isinstance(event, Burst):
        pulses, what = event.cycles, "whole cycles of the carrier"
        if train.n_let > 1:
            bursts_hz *= train.n_let
            note = f"Bursts come {train.n_let} at a time; all are counted."
        how = f"{event.cycles} / {given(event.carrier_hz, 'Hz')}"
    else:
        pulses, what = train.n_let, "pulses of an N-let"
        length_s += train.n_let_span_s
        note = "An N-let is stated as a burst of its pulses."
        interval = given(train.n_let_interval_ms or 0.0, "ms")
        how = f"{train.n_let - 1} · {interval} + {given(event.duration_us, 'µs')}"
    if train.rate_end_hz is not None:
        note = f"{note} At the fast end of the sweep.".strip()
    length, duty = given(length_s, "s"), bursts_hz * length_s
    rate = given(bursts_hz, "per second")
    product = f"{given(bursts_hz, '/s')} · {length} = {duty:.3g}"
    entries = (
        Entry(
            label="a) pulses per burst", value=float(pulses), text=f"{pulses} ({what})"
        ),
        Entry(label="b) bursts per second", value=bursts_hz, unit="1/s", text=rate),
        Entry(
            label="c) burst duration",
            value=length_s,
            unit="s",
            text=length,
            calculation=f"{how} = {length}",
        ),
        Entry(
            label="d) duty cycle, b × c",
            value=duty,
            text=f"{duty:.3g}",
            calculation=product,
        ),
    )
    return Row(number="13", name=name, entries=entries, note=note)


def _times(mode: Mode) -> Iterator[Row]:
    stage = mode.stage
    times = (
        ("14", "ON time", stage.on_period_s, _ramps(mode)),
        ("15", "OFF time", stage.duty_cycle.off_s, ""),
    )
    for row, name, length_s, how in times:
        text = given(length_s, "s")
        entry = Entry(value=length_s, unit="s", text=text, calculation=how)
        note = "Note 7: typically at least one second."
        note += "" if length_s >= 1 else " This is less."
        yield Row(number=row, name=name, entries=(entry,), note=note)


def _ramps(mode: Mode) -> str:
    envelope, duty_cycle = mode.stage.envelope, mode.stage.duty_cycle
    if not envelope.ramp_up_s + envelope.ramp_down_s:
        return ""
    up, down = given(envelope.ramp_up_s, "s"), given(envelope.ramp_down_s, "s")
    if duty_cycle.ramps_count_as_on:
        return f"with ramps of {up} up and {down} down inside"
    total = given(mode.stage.on_period_s, "s")
    return f"ramp {up} + {given(duty_cycle.on_s, 's')} + ramp {down} = {total}"
