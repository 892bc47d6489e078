"""The accuracy table of docs/measuring.md: ``python tests/measuring/table.py``."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from measuring.made import AMPLITUDE_MA, RUSSIAN, plan_of, rendered, spoiled

import nmes_wave as nw

#: Three on-periods, 60 s.
SPAN = {"on_s": 19.0, "off_s": 1.0, "repeats": 3, "start_s": 0.0137}


def pulse(width_us, gap_us=0.0, ratio=1.0):
    return nw.Pulse(
        phase_width_us=width_us, interphase_gap_us=gap_us, recovery_ratio=ratio
    )


#: Event, rate, sample rate.
SETTINGS = [
    (pulse(300.0), 35.0, 48_000.0),
    (pulse(300.0), 50.0, 48_000.0),
    (pulse(150.0, 100.0), 33.3, 48_000.0),
    (pulse(500.0, 100.0, 2.0), 50.0, 48_000.0),
    (pulse(233.0, 0.0, 3.0), 33.3, 48_000.0),
    (pulse(150.0), 35.0, 96_000.0),
    (pulse(250.0, 100.0), 50.0, 44_100.0),
    (pulse(400.0, 0.0, 4.0), 35.0, 44_100.0),
    (RUSSIAN, 50.0, 48_000.0),
]
CONDITIONS = {
    "clean": {},
    "white noise, 40 dB": {"snr_db": 40},
    "white noise, 20 dB": {"snr_db": 20},
    "droop, 20 Hz": {"droop_hz": 20.0},
    "resampled to 44.1 kHz (sox)": {"new_rate_hz": 44_100.0},
    "inverted": {"flip": True},
    "offset of 0.7 mA": {"offset_ma": 0.7},
    "droop, 40 dB": {"droop_hz": 20.0, "snr_db": 40},
    "resampled, 40 dB": {"new_rate_hz": 44_100.0, "snr_db": 40},
    "droop, resampled, inverted, offset, 40 dB": {
        "droop_hz": 20.0,
        "new_rate_hz": 44_100.0,
        "flip": True,
        "offset_ma": 0.7,
        "snr_db": 40,
    },
    "droop, offset, 20 dB": {"droop_hz": 20.0, "offset_ma": 0.7, "snr_db": 20},
    "resampled, 20 dB": {"new_rate_hz": 44_100.0, "snr_db": 20},
}
HEADINGS = (
    "recording",
    "missed",
    "false",
    "rate ppm",
    "amplitude %",
    "phase width samples",
    "charge %",
)


def errors(setting, condition):
    """Magnitudes of the errors of one recording; None: not a case."""
    event, rate_hz, sample_rate_hz = setting
    if condition.get("new_rate_hz") == sample_rate_hz:
        return None
    plan = plan_of(event, rate_hz, sample_rate_hz, **SPAN)
    recording, recorded_hz = spoiled(rendered(plan), sample_rate_hz, **condition)
    (found,) = nw.measure(recording, recorded_hz).channels
    # the resampler's samples stand for instants: half a frame of one, not the other
    shift_s = 0.5 / sample_rate_hz - 0.5 / recorded_hz
    missed, false = compared(plan, found, shift_s)
    charge_uc = AMPLITUDE_MA * event.phase_area_us / 1000
    assert found.polarity == (-1 if condition.get("flip") else 1)
    assert len(found.on_periods) == SPAN["repeats"]
    width_us = found.phase_width_us - event.phase_width_us
    return np.abs(
        [
            missed,
            false,
            (found.rate_hz / rate_hz - 1) * 1e6,
            (found.amplitude_ma / AMPLITUDE_MA - 1) * 100,
            width_us * recorded_hz / 1e6,
            (found.charge_per_phase_uc / charge_uc - 1) * 100,
        ]
    )


def compared(plan, found, shift_s=0.0, within_s=1e-4):
    """How many pulses of a plan were not found, and how many found are none."""
    pulses = plan.pulses()
    pulses = pulses[pulses["amplitude_ma"] > 0]
    true_s = pulses["frame"] / plan.output.sample_rate_hz + shift_s
    found_s = found.pulses["onset_s"]
    if not len(found_s):
        return len(true_s), 0
    at = np.searchsorted(found_s, true_s).clip(1, len(found_s) - 1)
    near = np.minimum(abs(found_s[at] - true_s), abs(found_s[at - 1] - true_s))
    hit = int((near < within_s).sum())
    return len(true_s) - hit, len(found_s) - hit


def worst(condition):
    rows = [errors(setting, condition) for setting in SETTINGS]
    return np.max([row for row in rows if row is not None], axis=0)


def line(name, row):
    missed, false, ppm, *rest = row
    cells = [name, f"{missed:.0f}", f"{false:.0f}", f"{ppm:.2g}" if ppm > 5e-3 else "0"]
    cells += [f"{x:.2f}" if x >= 0.005 else "0" for x in rest]
    return "| " + " | ".join(cells) + " |"


def lines():
    yield "| " + " | ".join(HEADINGS) + " |"
    yield "|" + "---|" * len(HEADINGS)
    for name, condition in CONDITIONS.items():
        yield line(name, worst(condition))


if __name__ == "__main__":
    for text in lines():
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
