"""Rows 9 to 12: charges, current density and power density, into 500 Ω."""

from __future__ import annotations

import math

from nmes_wave.device_report.delivered import Delivered
from nmes_wave.device_report.exposed import LOAD_OHM, Exposed
from nmes_wave.device_report.integers import NetCodes
from nmes_wave.device_report.modes import Mode, ramped
from nmes_wave.device_report.quantity import given, ohms, result, step
from nmes_wave.device_report.rows import Entry, Row, number, words
from nmes_wave.device_report.waveform import symmetrical
from nmes_wave.spec import Burst, CustomPulse, Event, Pulse
from nmes_wave.spec.event import (
    CARRIER_MEAN_SQUARE,
    PHASE_MEAN,
    PHASE_MEAN_SQUARE,
)

#: Note 6 of the guidance, W/cm².
MOST_W_CM2 = 0.25
_LOAD = ohms(LOAD_OHM)
NOT_STATED = (
    "Not stated in the guidance: whether current density is peak or r.m.s. Both are "
    "given; r.m.s. is over the fullest second."
)
_NO_AREA = "not evaluated: give --electrode-cm2, or the channel its electrodes"


# -- rows 9 and 10 ---------------------------------------------------------------


def charge_rows(
    mode: Mode,
    exposed: Exposed,
    codes: NetCodes,
    coupling: str,
    unbalanced: dict[float, float],
) -> tuple[Row, Row]:
    """Return rows 9 and 10.

    `unbalanced`: what clipping leaves of a balanced pulse, in µC, by the load.
    """
    event, into = mode.stage.event, exposed.event
    balanced = isinstance(event, Burst) or event.balanced
    net = number(into.net_uc, "µC", _net(event, into), label="per pulse")
    on_grid = Entry(
        label="on the output's integers",
        value=codes.net_uc,
        unit="µC",
        text=f"{result(codes.net_uc, 'µC')}: the codes of one pulse add up to "
        f"{codes.net_codes:,}",
        calculation=f"sum over {codes.n_frames:,} frames, {codes.grid}",
    )
    if balanced:
        how = (
            "The opposite phases have equal areas, and the integer codes of every "
            "pulse add up to exactly zero, at every intensity and on every ramp. A "
            "pulse that a fault cuts short is not balanced."
        )
    else:
        how = "None: the pulse is not balanced."
    how += f" Output declared {coupling.upper()}-coupled."
    if coupling == "ac":
        how += (
            " What blocks direct current behind it: to be stated by the manufacturer."
        )
    method = words(how, label="method of achieving zero net charge")
    alternates = mode.stage.train.alternate_polarity and into.net_uc != 0
    dc = number(
        exposed.net_dc_ua,
        "µA",
        "highest mean of any one second" + _net_mean(mode, into),
        label="net direct current",
    )
    note = ""
    if alternates:
        note = (
            "Polarity alternates: every second pulse has the opposite net charge, "
            "and only a mean over pairs of them is near zero. "
        )
    if unbalanced:
        found = ", ".join(
            f"{result(net_uc, 'µC')} per pulse @ {ohms(load_ohm)}"
            for load_ohm, net_uc in unbalanced.items()
        )
        note += (
            "The compliance voltage clips one phase more than the other and leaves "
            f"{found}: there the pulse is NOT balanced."
        )
    phase = number(into.phase_uc, "µC", _phase(event, into))
    return (
        Row(
            number="9",
            name=f"Net charge per pulse @ {_LOAD}",
            entries=(net, method, on_grid, dc),
            note=note.strip(),
        ),
        Row(
            number="10",
            name=f"Maximum phase charge @ {_LOAD}",
            entries=(phase,),
        ),
    )


def _net_mean(mode: Mode, into: Delivered) -> str:
    train = mode.stage.train
    if into.net_uc == 0:
        return ""
    text = _most_words(mode, into)
    if into.clipped and ramped(mode.stage):
        if mode.stage.envelope.modulates == "amplitude":
            text += ", every pulse of a ramp as at full level"
            text += ", no two of them cancelling" * train.alternate_polarity
            return text
    return text + ", neighbours cancelling" * train.alternate_polarity


def _most_words(mode: Mode, into: Delivered) -> str:
    """Say why a count of pulses is an upper bound, if it is one."""
    reasons = ["clipped pulses"] * into.clipped
    reasons += ["the worst jitter"] * bool(mode.stage.train.jitter)
    return f" at most, with {' and '.join(reasons)}" if reasons else ""


def _net(event: Event, into: Delivered) -> str:
    if into.net_uc == 0:
        parts = step(into.phase_uc, "µC")
        if isinstance(event, Burst):
            return f"Qn = ∫ i dt = {2 * event.cycles} half cycles of ±{parts} = 0 µC"
        if isinstance(event, Pulse):
            return f"Qn = ∫ i dt = {parts} − {parts} = 0 µC"
        return "Qn = ∫ i dt = 0 µC over the straight pieces"
    if isinstance(event, Pulse) and not event.balanced:
        sign = "−" if into.net_uc < 0 else ""
        return f"Qn = ∫ i dt = {sign}Q of the only phase (row 10)"
    return f"Qn = ∫ i dt = {result(into.net_uc, 'µC')}{_clipped(into)}"


def _phase(event: Event, into: Delivered) -> str:
    current, charge = result_ma(into), result(into.phase_uc, "µC")
    width = given(event.phase_width_us, "µs")
    # Clipped, the largest phase can be the recovery phase.
    by_first = math.isclose(into.phase_uc * 1000, into.peak_ma * event.phase_width_us)
    if into.clipped and not by_first:
        return f"Q = ∫ i dt of the largest phase = {charge}{_clipped(into)}"
    if _first_rectangular(event):
        return f"Q = I·t = {current} · {width} = {charge}"
    area_us = into.phase_uc / into.peak_ma * 1000 if into.peak_ma else 0.0
    how = "; a = ∫ |i/I| dt of the largest phase"
    if isinstance(event, Pulse):
        how += f" = {width} · {PHASE_MEAN[event.shape]:.4g}"
    return f"Q = I·a = {current} · {area_us:.4g} µs = {charge}{how}"


def _first_rectangular(event: Event) -> bool:
    if isinstance(event, Pulse):
        return event.shape == "rectangular"
    return isinstance(event, Burst) and event.shape == "square"


def _all_rectangular(event: Event) -> bool:
    if isinstance(event, Pulse) and event.balanced:
        return event.shape == event.effective_recovery_shape == "rectangular"
    return _first_rectangular(event)


def result_ma(into: Delivered) -> str:
    """Return the peak as it is set, or as the compliance voltage leaves it."""
    return step(into.peak_ma, "mA") if into.clipped else given(into.set_ma, "mA")


def _clipped(into: Delivered) -> str:
    return f", clipped at {step(into.peak_ma, 'mA')}" if into.clipped else ""


# -- rows 11 and 12 --------------------------------------------------------------


def density_rows(mode: Mode, exposed: Exposed) -> tuple[Row, Row]:
    """Return rows 11 and 12."""
    area_cm2 = mode.smallest_area_cm2
    rms_ma, peak_ma = exposed.rms_ma, exposed.event.peak_ma
    rms, peak = step(rms_ma, "mA"), result_ma(exposed.event)
    most = "at most " * _is_bound(mode, exposed)
    current = number(rms_ma, "mA", _rms(mode, exposed), label="r.m.s. current")
    mean = number(
        exposed.average_ma,
        "mA",
        _average(mode, exposed),
        label="average absolute current",
    )
    density = [
        _missing(f"{kind} density", unit)
        for kind, unit in (("r.m.s.", "mA/cm²"), ("peak", "mA/cm²"))
    ]
    power = [_missing("power density", "W/cm²"), words(_NO_AREA, label="< 0.25 W/cm²")]
    if area_cm2 is not None:
        area = given(area_cm2, "cm²")
        density = [
            number(
                value / area_cm2,
                "mA/cm²",
                f"J = {name}/A = {text} / {area} = {bound}"
                f"{result(value / area_cm2, 'mA/cm²')}",
                label=f"{kind} density",
            )
            for kind, name, value, text, bound in (
                ("r.m.s.", "I_rms", rms_ma, rms, most),
                ("peak", "I", peak_ma, peak, ""),
            )
        ]
        w_cm2 = (rms_ma / 1000) ** 2 * LOAD_OHM / area_cm2
        met = w_cm2 < MOST_W_CM2
        power = [
            number(
                w_cm2,
                "W/cm²",
                f"P = I_rms²·R/A = ({rms})² · {_LOAD} / {area} = {most}"
                f"{result(w_cm2, 'W/cm²')}",
                label="power density",
            ),
            Entry(
                label="below 0.25 W/cm² (note 6)",
                value=met,
                text="yes" if met else "NO: above what the guidance recommends",
            ),
        ]
    return (
        Row(
            number="11",
            name=f"Maximum current density @ {_LOAD}",
            entries=(current, *density, mean),
            note=" ".join([NOT_STATED, _area_note(mode)]),
        ),
        Row(
            number="12",
            name=f"Maximum power density @ {_LOAD}, smallest electrode conductive area",
            entries=tuple(power),
            note="Note 6: at the maximum duty cycle, averaged over one second of "
            'output; it should be < 0.25 W/cm² "to reduce the risk of thermal burns".',
        ),
    )


def _missing(label: str, unit: str) -> Entry:
    return Entry(label=label, unit=unit, text=_NO_AREA)


def _area_note(mode: Mode) -> str:
    area_cm2 = mode.smallest_area_cm2
    if area_cm2 is None:
        return "No electrode area is given."
    text = f"A: conductive area of the smallest electrode, {given(area_cm2, 'cm²')}."
    if mode.without_electrodes:
        names = ", ".join(mode.without_electrodes)
        text += f" Channels without electrodes, not counted: {names}."
    return text


def _rms(mode: Mode, exposed: Exposed) -> str:
    stage, into = mode.stage, exposed.event
    event, current = stage.event, result_ma(into)
    rms = result(exposed.rms_ma, "mA")
    square = f"{into.square_us:.6g} µs"
    regular = _regular(mode, exposed.n_rms)
    rate = given(stage.train.rate_hz, "Hz")
    most = "at most " * _is_bound(mode, exposed)
    if _all_rectangular(event) and isinstance(event, Pulse) and symmetrical(event):
        width = given(event.phase_width_us, "µs")
        if regular:
            formula, with_numbers = "2·t·f", f"2 · {width} · {rate}"
        else:
            n = f"{exposed.n_rms:.6g}"
            formula, with_numbers = "2·t·n/1 s", f"2 · {width} · {n} / 1 s"
        what = ""
    else:
        formula, with_numbers = "S·f", f"{square} · {rate}"
        if not regular:
            n = f"{exposed.n_rms:.6g}"
            formula, with_numbers = "S·n/1 s", f"{square} · {n} / 1 s"
        what = f"; S = ∫ (i/I)² dt{_square(event, into)}"
    if not regular:
        what += _counted(mode, into, "the square of its level")
    root = f"{current} · sqrt({with_numbers})"
    return f"I_rms = I·sqrt({formula}) = {root} = {most}{rms}{what}"


def _square(event: Event, into: Delivered) -> str:
    if isinstance(event, CustomPulse):
        return " over the straight pieces" + _clipped(into)
    if into.clipped and not _all_rectangular(event):
        return " of the clipped pulse, by summation"
    if isinstance(event, Burst):
        mean = CARRIER_MEAN_SQUARE[event.shape]
        return f" = burst of {given(event.duration_us / 1000, 'ms')} · {mean:.4g}"
    mean = PHASE_MEAN_SQUARE[event.shape]
    first = f" = {given(event.phase_width_us, 'µs')} · {mean:.4g}"
    if not event.balanced:
        return first
    if into.clipped:
        return " of the clipped pulse, by summation"
    mean = PHASE_MEAN_SQUARE[event.effective_recovery_shape]
    level = f"{event.recovery_level:.4g}"
    return f"{first} + {given(event.recovery_width_us, 'µs')} · {mean:.4g} · {level}²"


def _average(mode: Mode, exposed: Exposed) -> str:
    stage, into = mode.stage, exposed.event
    event, current = stage.event, result_ma(into)
    mean = result(exposed.average_ma, "mA")
    most = "at most " * _is_bound(mode, exposed)
    regular = _regular(mode, exposed.n_average)
    if regular:
        f, count = "f", given(stage.train.rate_hz, "Hz")
    else:
        f, count = "n/1 s", f"{exposed.n_average:.6g} / 1 s"
    if _all_rectangular(event) and isinstance(event, Pulse) and symmetrical(event):
        width = given(event.phase_width_us, "µs")
        formula, with_numbers, what = (
            f"2·I·t·{f}",
            f"2 · {current} · {width} · {count}",
            "",
        )
    else:
        formula = f"I·G·{f}"
        with_numbers = f"{current} · {into.gross_us:.6g} µs · {count}"
        what = "; G = ∫ |i/I| dt"
    if not regular:
        what += _counted(mode, into, "its level")
    return f"{formula} = {with_numbers} = {most}{mean}{what}"


def _is_bound(mode: Mode, exposed: Exposed) -> bool:
    """Whether no second may hold as much: by jitter, or on a clipped ramp."""
    return exposed.event.clipped or mode.stage.train.jitter > 0


def _regular(mode: Mode, n: float) -> bool:
    """Whether the fullest second holds as many events as the rate says."""
    train = mode.stage.train
    return train.rate_end_hz is None and n == train.rate_hz


def _counted(mode: Mode, into: Delivered, by: str) -> str:
    text = "; n: pulses in the fullest second, counted one by one"
    if mode.stage.train.jitter:
        text += ", with the worst jitter"
    ramps = mode.stage.envelope
    if not ramps.ramp_up_s + ramps.ramp_down_s:
        return text
    if ramps.modulates == "width":
        return f"{text}, each on a ramp by its level"
    if into.clipped:
        return f"{text}, those of a ramp as at full level"
    return f"{text}, each on a ramp by {by}"
