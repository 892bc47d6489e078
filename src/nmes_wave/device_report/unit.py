"""Section 2, the basic unit characteristics, and the file that completes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from nmes_wave.device_report.modes import Mode
from nmes_wave.device_report.quantity import given, one_line
from nmes_wave.device_report.rows import BLANK, Entry, Row, words
from nmes_wave.files import file_path
from nmes_wave.plan import Plan
from nmes_wave.plot.captions import clock
from nmes_wave.spec import Channel, _file
from nmes_wave.spec._fields import Range, Spec

_Leakage = Annotated[float, Range(ge=0, unit="µA")]
#: Note 2 of the guidance, µA.
_MOST_LEAKAGE_UA = {"normal condition": 100.0, "single fault condition": 500.0}
#: On-periods of a channel that are compared with the others'.
_COMPARED = 1000


@dataclass(frozen=True, kw_only=True)
class Device(Spec):
    """What no software can tell of a device: rows of section 2.

    Every field is text in the maker's words but for the leakage currents, and
    what is left out stays a blank in the report. `load` reads them from TOML
    that begins with ``format = 1``.

    Parameters
    ----------
    number_510k, name, manufacturer, power_source, line_isolation
        Identity and supply.
    leakage_normal_ua, leakage_single_fault_ua
        Patient leakage current in µA.
    channel_isolation, regulation, software_control
        Of the outputs.
    overload_trip, no_load_trip, automatic_shut_off, patient_override
        What switches it off.
    on_off_indicator, low_battery_indicator, level_indicator, timer_range
        What the patient sees, and sets.
    standards, cfr_898, weight, dimensions, housing
        Compliance and build.

    Raises
    ------
    SpecError
        For a value of the wrong kind.
    """

    number_510k: str = ""
    name: str = ""
    manufacturer: str = ""
    power_source: str = ""
    line_isolation: str = ""
    leakage_normal_ua: _Leakage | None = None
    leakage_single_fault_ua: _Leakage | None = None
    channel_isolation: str = ""
    regulation: str = ""
    software_control: str = ""
    overload_trip: str = ""
    no_load_trip: str = ""
    automatic_shut_off: str = ""
    patient_override: str = ""
    on_off_indicator: str = ""
    low_battery_indicator: str = ""
    level_indicator: str = ""
    timer_range: str = ""
    standards: str = ""
    cfr_898: str = ""
    weight: str = ""
    dimensions: str = ""
    housing: str = ""

    @classmethod
    def load(cls, path: str | Path) -> Device:
        """Read a device file.

        Raises
        ------
        FormatError
            If it cannot be read, is not TOML, or of another format version.
        SpecError
            For an unknown key (with the nearest valid name) or a wrong value.
        """
        return _file.load(cls, file_path(path))


def unit_rows(
    plan: Plan, modes: tuple[Mode, ...], device: Device, version: str
) -> tuple[Row, ...]:
    """Return the rows of section 2, in the guidance's order."""
    return tuple(_rows(plan, modes, device, version))


def _rows(
    plan: Plan, modes: tuple[Mode, ...], device: Device, version: str
) -> Iterator[Row]:
    yield _row("510(k) number", device.number_510k)
    yield _row("Device name and model", device.name)
    yield _row("Manufacturer", device.manufacturer)
    yield _row("Power source", device.power_source)
    yield _row("– method of line current isolation", device.line_isolation)
    yield _leakage("normal condition", device.leakage_normal_ua)
    yield _leakage("single fault condition", device.leakage_single_fault_ua)
    yield _known("Number of output modes", f"{len(modes)}")
    yield _known("Number of output channels", f"{plan.n_channels}")
    yield _known("– synchronous or alternating", _timing(plan.protocol.channels))
    yield _row("– method of channel isolation", device.channel_isolation)
    yield _row(
        "Regulated current or regulated voltage",
        device.regulation,
        "current: the software describes and sets current",
    )
    yield _row(
        "Software, firmware or microprocessor control",
        device.software_control,
        f"yes: nmes_wave {version}",
    )
    yield _row("Automatic overload trip", device.overload_trip)
    yield _row("Automatic no-load trip", device.no_load_trip)
    yield _row(
        "Automatic shut-off",
        device.automatic_shut_off,
        f"the software ends after {clock(plan.duration_s)}",
    )
    yield _row(
        "Patient override control",
        device.patient_override,
        "stop and emergency stop in the software",
    )
    yield _row("Indicator display: on/off status", device.on_off_indicator)
    yield _row("– low battery", device.low_battery_indicator)
    yield _row("– voltage or current level", device.level_indicator)
    yield _row(
        "Timer range (minutes)",
        device.timer_range,
        f"this protocol lasts {plan.duration_s / 60:.4g} min",
    )
    yield _row("Compliance with voluntary standards", device.standards)
    yield _row("Compliance with 21 CFR 898", device.cfr_898)
    yield _row("Weight", device.weight)
    yield _row("Dimensions", device.dimensions)
    yield _row("Housing materials and construction", device.housing)


def _known(name: str, text: str) -> Row:
    return Row(name=name, entries=(words(text),), source="software")


def _row(name: str, stated: str, by_software: str = "") -> Row:
    stated = one_line(stated, 400)
    entries = [words(by_software, label="software")] if by_software else []
    entries.append(words(stated or BLANK, label="device" if by_software else ""))
    told = ["software"] * bool(by_software) + ["manufacturer"] * bool(stated)
    return Row(name=name, entries=tuple(entries), source=" and ".join(told))


def _leakage(condition: str, leakage_ua: float | None) -> Row:
    name = f"– leakage current, {condition}"
    most_ua = _MOST_LEAKAGE_UA[condition]
    note = f"Note 2: at most {most_ua:g} µA."
    if leakage_ua is None:
        return Row(name=name, entries=(words(BLANK),), note=note)
    note += " It is." if leakage_ua <= most_ua else " It is NOT."
    text = given(leakage_ua, "µA")
    entry = Entry(value=leakage_ua, unit="µA", text=text)
    return Row(name=name, entries=(entry,), note=note, source="manufacturer")


# -- how channels stand to each other ------------------------------------------------


def _timing(channels: tuple[Channel, ...]) -> str:
    if len(channels) == 1:
        return "one channel"
    periods = [_on_periods(channel) for channel in channels]
    phases = {s.train.phase_deg for c in channels for s in c.stages}
    pulses = ""
    if len(phases) > 1:
        pulses = "; pulses of the channels interlaced by the phases of their trains"
    if all(own == periods[0] for own in periods):
        return f"synchronous: the channels' ON times coincide{pulses}"
    ends = sorted((on, c) for c, own in enumerate(periods) for on in own)
    for (before, _), (after, _) in pairwise(ends):
        if after[0] < before[1] - 1e-9:
            return f"overlapping: the channels' ON times coincide in part{pulses}"
    return "alternating: the channels' ON times do not coincide"


def _on_periods(channel: Channel) -> list[tuple[float, float]]:
    """Return begin and end of the on-periods, of the first ones if they are many."""
    found: list[tuple[float, float]] = []
    begin_s = channel.start_s
    for _ in range(channel.repeats):
        for stage in channel.stages:
            for k in range(stage.duty_cycle.repeats):
                if len(found) == _COMPARED:
                    return found
                on_s = begin_s + float(stage.exact_period_s * k)
                found.append((on_s, on_s + stage.on_period_s))
            begin_s += stage.duration_s
    return found
