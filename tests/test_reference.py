"""The oracle itself, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from nmes_wave import (
    Burst,
    Channel,
    CustomPulse,
    DutyCycle,
    Envelope,
    Pulse,
    Stage,
    StimProtocol,
    Train,
)
from nmes_wave._reference import (
    ReferenceEvent,
    as_pulses,
    ideal_charge,
    reference_codes,
    reference_events,
)
from nmes_wave.output import Output

FS = 48_000.0  # 250 µs are 12 frames, 62.5 µs 3


def stage(
    event: Pulse | Burst | CustomPulse,
    *,
    amplitude_ma: float = 700.0,
    rate_hz: float = 50.0,
    on_s: float = 0.1,
    off_s: float = 0.0,
    repeats: int = 1,
    envelope: Envelope | None = None,
    **train: Any,
) -> Stage:
    return Stage(
        event=event,
        train=Train(rate_hz=rate_hz, **train),
        duty_cycle=DutyCycle(on_s=on_s, off_s=off_s, repeats=repeats),
        amplitude_ma=amplitude_ma,
        envelope=envelope or Envelope(),
    )


def protocol(*stages: Stage, **channel: Any) -> StimProtocol:
    return StimProtocol(
        name="p", channels=(Channel(name="c", stages=stages, **channel),)
    )


def output(*, edges: str = "area", fs: float = FS, dtype: str = "int16") -> Output:
    """One code is one milliampere at int16."""
    made: dict[str, Any] = {"edges": edges, "dtype": dtype}
    return Output(sample_rate_hz=fs, full_scale_ma=32767.0, **made)


def codes_of(
    event: Pulse | Burst | CustomPulse,
    n: int,
    *,
    onset: Fraction = Fraction(0),
    level: int = 700,
    index: int = 0,
    edges: str = "area",
    width_us: float | None = None,
    **train: Any,
) -> list[int]:
    """Return the first `n` codes of one event of `level` codes."""
    width = Fraction(width_us or event.phase_width_us)
    row = ReferenceEvent(onset, 0, 0, 0, index, Fraction(level), width)
    described = protocol(stage(event, amplitude_ma=float(level), **train))
    codes = reference_codes(described, output(edges=edges), as_pulses([row]), 0, n)
    assert codes.dtype == np.int64
    assert codes.shape == (n, 1)
    return [int(code) for code in codes[:, 0]]


def onsets_ms(described: StimProtocol) -> list[float]:
    return [float(e.frame) / 48 for e in reference_events(described, FS)]


def test_a_pulse_on_the_grid_is_whole_frames() -> None:
    expected = [700] * 12 + [-700] * 12 + [0] * 4
    assert codes_of(Pulse(phase_width_us=250.0), 28) == expected


def test_a_gap_of_4_8_frames_keeps_its_sub_frame_place() -> None:
    # Recovery from 16.8 to 28.8 at 7 codes: C = 84 - 1.4 = 82.6 after frame 16,
    # then 75.6 ... 5.6 after frame 27, then 0.
    codes = codes_of(Pulse(phase_width_us=250.0, interphase_gap_us=100.0), 30, level=7)
    assert codes == [7] * 12 + [0] * 4 + [-2] + [-7] * 11 + [-5, 0]


def test_phases_do_not_meet_inside_a_frame() -> None:
    # First phase from 10.25 to 22.25: 525 codes, 11 whole frames, 175; the
    # recovery waits for boundary 23.
    codes = codes_of(Pulse(phase_width_us=250.0), 36, onset=Fraction(41, 4))
    assert codes == [0] * 10 + [525] + [700] * 11 + [175] + [-700] * 12 + [0]


def test_a_gap_that_passes_the_boundary_is_not_moved() -> None:
    # 10.25 + 12 + 3 = 25.25, later than boundary 23.
    event = Pulse(phase_width_us=250.0, interphase_gap_us=62.5)
    codes = codes_of(event, 39, onset=Fraction(41, 4), level=100)
    assert codes[22:] == [25, 0, 0, -75] + [-100] * 11 + [-25, 0]


def test_recovery_four_times_as_long() -> None:
    # Level 7/4: C falls 84, 82.25, 80.5, 78.75, 77, ...
    codes = codes_of(Pulse(phase_width_us=250.0, recovery_ratio=4.0), 61, level=7)
    assert codes == [7] * 12 + [-2, -2, -2, -1] * 12 + [0]


def test_polarity_and_every_second_event_negate_exactly() -> None:
    shape: dict[str, Any] = {"phase_width_us": 210.0, "recovery_ratio": 1.7}
    usual = codes_of(Pulse(**shape), 60, onset=Fraction(3, 8))
    negated = [-code for code in usual]
    assert codes_of(Pulse(**shape, polarity=-1), 60, onset=Fraction(3, 8)) == negated
    for index, expected in ((1, negated), (2, usual)):
        alternated = codes_of(
            Pulse(**shape),
            60,
            onset=Fraction(3, 8),
            index=index,
            alternate_polarity=True,
        )
        assert alternated == expected


def test_monophasic_codes_add_up_to_the_truncated_area() -> None:
    # 10.08 frames from 0.5 at 7 codes: 70.56 code·frames.
    event = Pulse(phase_width_us=210.0, balanced=False)
    codes = codes_of(event, 12, onset=Fraction(1, 2), level=7)
    assert codes == [3] + [7] * 9 + [4, 0]
    assert sum(codes) == 70


def test_snap_rounds_widths_and_gap_and_keeps_the_area() -> None:
    # 255 µs = 12.24 -> 12; gap 110 µs = 5.28 -> 5; 1.7 * 12.24 = 20.808 -> 21
    # frames at 700 * 12 / 21 = 400.
    event = Pulse(phase_width_us=255.0, interphase_gap_us=110.0, recovery_ratio=1.7)
    codes = codes_of(event, 40, edges="snap")
    assert codes == [700] * 12 + [0] * 5 + [-400] * 21 + [0] * 2


def test_snap_gives_other_shapes_equal_areas_too() -> None:
    # 12 and 21 frames: C = 60 t² up to the middle, 4320 at 12, 0 at 33.
    event = Pulse(phase_width_us=255.0, shape="triangular", recovery_ratio=1.7)
    codes = codes_of(event, 34, level=720, edges="snap")
    assert codes[:12] == codes[11::-1]
    assert (sum(codes[:12]), max(codes[12:]), sum(codes)) == (4320, 0, 0)


def test_snap_leaves_each_phase_one_frame() -> None:
    codes = codes_of(Pulse(phase_width_us=250.0), 3, edges="snap", width_us=5.0)
    assert codes == [700, -700, 0]


def test_snap_rounds_half_up() -> None:
    # 218.75 µs are 10.5 frames.
    late = protocol(stage(Pulse(phase_width_us=250.0)), start_s=0.00021875)
    assert reference_events(late, FS)[0].frame == Fraction(21, 2)
    assert reference_events(late, FS, "snap")[0].frame == 11
    wide = Pulse(phase_width_us=218.75)
    assert codes_of(wide, 23, edges="snap") == [700] * 11 + [-700] * 11 + [0]


def test_square_burst() -> None:
    # 2.5 kHz: half a cycle is 9.6 frames. C at 100 codes: 900, 920 after the
    # turn at 9.6, ..., 20 after frame 18, 80 after the turn at 19.2.
    codes = codes_of(Burst(carrier_hz=2500.0, cycles=5, shape="square"), 97, level=100)
    assert codes[:21] == [100] * 9 + [20] + [-100] * 9 + [60, 100]
    assert codes[95:] == [-100, 0]
    assert sum(codes) == 0


def test_sine_and_triangular_burst() -> None:
    # 12 kHz: half a cycle is 2 frames. Sine: 1000 * 2/π = 636.6 to its top.
    sine = codes_of(Burst(carrier_hz=12_000.0, cycles=2), 9, level=1000)
    assert sine == [636, 637, -637, -636] * 2 + [0]
    triangle = Burst(carrier_hz=12_000.0, cycles=1, shape="triangular")
    assert codes_of(triangle, 5, level=1000) == [500, 500, -500, -500, 0]


def test_custom_shape_and_its_residue() -> None:
    # A ramp of 3 frames to 60 codes: C = 10 t²; then three flat frames.
    points = ((0.0, 0.0), (62.5, 1.0), (62.5, -0.5), (125.0, -0.5))
    codes = codes_of(CustomPulse(points=points), 7, level=60)
    assert codes == [10, 30, 50, -30, -30, -30, 0]
    # A negative part that is 1e-10 too small is scaled until it fits.
    short = (*points[:3], (125.0 - 6e-9, -0.5))
    row = np.zeros(1, as_pulses([]).dtype)
    row["amplitude_ma"] = 1e4
    described = protocol(stage(CustomPulse(points=short), amplitude_ma=1e4))
    assert ideal_charge(described, output(), row[0])[1][-1] == 0


@pytest.mark.parametrize(
    "event",
    [
        Pulse(phase_width_us=333.0, shape="half_sine", recovery_ratio=1.3),
        Pulse(phase_width_us=333.0, shape="triangular", interphase_gap_us=777.7),
        Pulse(phase_width_us=333.0, shape="exponential_rise"),
        Pulse(
            phase_width_us=333.0, recovery_shape="exponential_decay", recovery_ratio=6
        ),
        Pulse(phase_width_us=333.0, shape="half_sine", recovery_shape="rectangular"),
        Burst(carrier_hz=2345.6, cycles=3),
        Burst(carrier_hz=2345.6, cycles=3, shape="triangular"),
        Burst(carrier_hz=2345.6, cycles=3, shape="square", polarity=-1),
        CustomPulse(
            points=((0, 0.2), (100, -0.8), (100, 0.7), (200, 0.9)), balanced=False
        ),
    ],
)
def test_ideal_charge_is_the_integral_of_the_described_levels(
    event: Pulse | Burst | CustomPulse,
) -> None:
    # Onset on a boundary and a gap added by hand where the kernel would move the
    # recovery, so that the described curve is the delivered one.
    if isinstance(event, Pulse) and event.interphase_gap_us == 0:
        end = event.phase_width_us * FS / 1e6
        gap_us = (np.ceil(end) - end) * 1e6 / FS + 1e-7
        event = replace(event, interphase_gap_us=float(gap_us))
    level, fine = 10_000, 2000
    described = protocol(stage(event, amplitude_ma=float(level)))
    row = as_pulses(reference_events(described, FS))[0]
    first, charges = ideal_charge(described, output(), row)
    t = (np.arange(len(charges) * fine) + 0.5) / fine
    levels = level * event.levels(t / FS * 1e6)
    expected = np.cumsum(levels.reshape(-1, fine).mean(axis=1))
    assert first == 0
    np.testing.assert_allclose(
        np.array(charges, float), expected, rtol=0, atol=2 * level / fine
    )
    if event.net_area_us == 0:
        assert charges[-1] == 0


def test_abutting_events_add_their_codes() -> None:
    # Two monophasic pulses, 0.25..12.25 and 12.25..24.25.
    event = Pulse(phase_width_us=250.0, balanced=False)
    rows = [
        ReferenceEvent(
            Fraction(1, 4) + 12 * i, 0, 0, 0, i, Fraction(700), Fraction(250)
        )
        for i in range(2)
    ]
    described = protocol(stage(event))
    codes = reference_codes(described, output(), as_pulses(rows), 0, 26)[:, 0]
    assert codes.tolist() == [525] + [700] * 23 + [175, 0]


def test_a_range_is_cut_out_of_the_whole() -> None:
    described = protocol(stage(Burst(carrier_hz=2345.6, cycles=5), rate_hz=77.7))
    pulses = as_pulses(reference_events(described, FS))
    whole = reference_codes(described, output(), pulses, 0, 4800)
    for start, stop in ((0, 1), (31, 700), (650, 651), (4000, 4800)):
        part = reference_codes(described, output(), pulses, start, stop)
        np.testing.assert_array_equal(part, whole[start:stop])


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("int16", 13106), ("int24", 3355442), ("int32", 858993458), ("float32", 3355442)],
)
def test_levels_of_the_formats(dtype: str, expected: int) -> None:
    # 40 mA of 100: 13106.8, 3355442.8, 858993458.8.
    described = protocol(stage(Pulse(phase_width_us=250.0), amplitude_ma=40.0))
    grid: dict[str, Any] = {"dtype": dtype, "full_scale_ma": (100.0,)}
    made = Output(sample_rate_hz=FS, **grid)
    pulses = as_pulses(reference_events(described, FS))
    assert reference_codes(described, made, pulses, 0, 1)[0, 0] == expected


@pytest.mark.parametrize(
    ("rate_hz", "on_s", "phase_deg", "expected"),
    [(50, 10, 0, 500), (10, 0.1 * 3, 0, 3), (10, 0.31, 90, 3), (10, 0.31, 0, 4)],
)
def test_number_of_events(
    rate_hz: float, on_s: float, phase_deg: float, expected: int
) -> None:
    event = Pulse(phase_width_us=250.0)
    made = stage(event, rate_hz=rate_hz, on_s=on_s, phase_deg=phase_deg)
    events = reference_events(protocol(made), FS)
    assert len(events) == expected
    first, period = phase_deg / 360, Fraction(FS) / rate_hz
    assert [e.frame for e in events] == [
        (Fraction(first) + k) * period for k in range(expected)
    ]


def test_sweep_solves_its_phase() -> None:
    # 10 to 30 Hz over 1 s: the phase 10 t + 10 t² reaches 7.5 at t = 0.5, 20 at 1.
    made = stage(
        Pulse(phase_width_us=250.0), rate_hz=10, rate_end_hz=30, on_s=1, phase_deg=180
    )
    events = reference_events(protocol(made), FS)
    assert len(events) == 20
    assert events[7].frame == 24_000
    for k, event in enumerate(events):
        t = event.frame / Fraction(FS)
        assert abs(10 * t + 10 * t**2 - k - Fraction(1, 2)) < Fraction(1, 10**50)


def test_first_interval_moves_the_rest_of_the_train() -> None:
    # 20 Hz, first interval 5 ms: 0, 5, 55, 105 ms; the last is outside 100 ms.
    event = Pulse(phase_width_us=250.0)
    made = stage(event, rate_hz=20.0, first_interval_ms=5.0)
    assert onsets_ms(protocol(made)) == [0.0, 5.0, 55.0]


def test_doublets_share_index_and_envelope_and_count_as_one() -> None:
    made = stage(
        Pulse(phase_width_us=250.0),
        n_let=2,
        n_let_interval_ms=5.0,
        count=2,
        envelope=Envelope(ramp_up_s=0.08, start_level=0.5),
    )
    described = protocol(made)
    assert onsets_ms(described) == [0.0, 5.0, 20.0, 25.0]
    events = reference_events(described, FS)
    assert [e.index for e in events] == [0, 0, 1, 1]
    assert [float(e.amplitude_ma) for e in events] == [350.0, 350.0, 437.5, 437.5]


def test_on_periods_count_on_through_repeats() -> None:
    a = stage(Pulse(phase_width_us=250.0), rate_hz=10.0, off_s=0.1, repeats=2)
    b = stage(Pulse(phase_width_us=250.0), rate_hz=10.0)
    described = protocol(a, b, start_s=1.0, repeats=2)
    events = reference_events(described, FS)
    assert [(e.stage, e.on_period) for e in events] == [
        *((0, 0), (0, 1), (1, 0)),
        *((0, 2), (0, 3), (1, 1)),
    ]
    assert onsets_ms(described) == [1000, 1200, 1400, 1500, 1700, 1900]


@pytest.mark.parametrize(
    ("shape", "quarter"),
    [
        ("linear", 0.25),
        ("cosine", (1 - 0.5**0.5) / 2),
        ("exponential", 2.490342957462 / 147.413159102577),
    ],
)
def test_envelope_shapes_and_mirrored_ramp_down(shape: Any, quarter: float) -> None:
    made = stage(
        Pulse(phase_width_us=250.0),
        amplitude_ma=1.0,
        envelope=Envelope(ramp_up_s=0.08, ramp_down_s=0.02, shape=shape),
    )
    amplitudes = [float(e.amplitude_ma) for e in reference_events(protocol(made), FS)]
    assert amplitudes[0] == 0
    assert amplitudes[1] == pytest.approx(quarter, abs=1e-12)
    assert amplitudes[4] == 1
    down = stage(
        Pulse(phase_width_us=250.0),
        amplitude_ma=1.0,
        envelope=Envelope(ramp_down_s=0.08, shape=shape),
    )
    amplitudes = [float(e.amplitude_ma) for e in reference_events(protocol(down), FS)]
    assert amplitudes[:2] == [1, 1]
    assert amplitudes[4] == pytest.approx(quarter, abs=1e-12)


def test_width_envelope_scales_both_phases_and_not_the_gap() -> None:
    event = Pulse(phase_width_us=250.0, interphase_gap_us=62.5, recovery_ratio=2.0)
    ramp = Envelope(ramp_up_s=0.08, start_level=0.5, modulates="width")
    described = protocol(stage(event, envelope=ramp))
    first = reference_events(described, FS)[0]
    assert first.amplitude_ma == 700
    assert first.phase_width_us == 125
    codes = reference_codes(described, output(), as_pulses([first]), 0, 22)[:, 0]
    assert codes.tolist() == [700] * 6 + [0] * 3 + [-350] * 12 + [0]


def test_jitter_delays_the_n_let_and_not_its_envelope() -> None:
    def half(seed: int, channel: int, stage: int, on_period: int, k: int) -> float:
        assert (seed, channel, stage, on_period) == (3, 0, 0, 0)
        return 0.5 * (k == 1)

    made = stage(
        Pulse(phase_width_us=250.0),
        jitter=0.25,
        seed=3,
        n_let=2,
        n_let_interval_ms=5.0,
        count=2,
        envelope=Envelope(ramp_up_s=0.1),
    )
    events = reference_events(protocol(made), FS, jitter=half)
    assert [float(e.frame) / 48 for e in events] == [0.0, 5.0, 22.5, 27.5]
    assert [float(e.amplitude_ma) for e in events] == [0.0, 0.0, 140.0, 140.0]
