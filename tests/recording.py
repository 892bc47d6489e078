"""Records without a device: made from a plan, or by the engine called by hand."""

from __future__ import annotations

import math

import numpy as np

import nmes_wave as nw
from nmes_wave._core import Engine
from nmes_wave.record import RECORD_DTYPE, RecordFacts, RecordKind, RecordWriter
from nmes_wave.status import Command

FACTS = RecordFacts(device="a dummy load", latency_s=0.0, note="500 Ω, µ-metal box")


def plan_of(
    on_s=0.5,
    rate_hz=100.0,
    amplitude_ma=50.0,
    ramp_up_s=0.0,
    event=None,
    n_channels=2,
    n_let=1,
    alternate=False,
    **output,
):
    """A plan whose channels begin anywhere in a frame."""
    train = nw.Train(
        rate_hz=rate_hz,
        n_let=n_let,
        n_let_interval_ms=2.0 if n_let > 1 else None,
        alternate_polarity=alternate,
    )
    channels = [
        nw.Channel(
            name=f"channel {i}",
            stages=[
                nw.Stage(
                    event=event or nw.Pulse(phase_width_us=233.3),
                    train=train,
                    duty_cycle=nw.DutyCycle(on_s=on_s),
                    amplitude_ma=amplitude_ma,
                    envelope=nw.Envelope(ramp_up_s=ramp_up_s),
                )
            ],
            start_s=0.0012345 * i,
        )
        for i in range(n_channels)
    ]
    made = nw.Output(**{"sample_rate_hz": 48_000, "full_scale_ma": 100.0, **output})
    return nw.build_plan(nw.StimProtocol(name="recorded", channels=channels), made)


def records_of(plan, lag=0, load=0, intensity=1.0):
    """What the engine records of a whole plan, the device `lag` frames ahead."""
    pulses = plan.pulses()
    records = np.zeros(len(pulses), RECORD_DTYPE)
    for name in ("channel", "stage", "on_period", "index"):
        records[name] = pulses[name]
    records["plan_frame"] = pulses["frame"]
    records["onset"] = pulses["frame"] + lag
    records["asked"] = -1
    records["value"], records["load"] = intensity, load
    scale_ma = np.array(plan.output.full_scales_ma(plan.n_channels))
    level = pulses["amplitude_ma"] * intensity / scale_ma[pulses["channel"]]
    records["level"] = np.floor(level * plan.output.max_code * (1 + 1e-12))
    ordinal = np.zeros(plan.n_channels, int)
    for record in records:
        c = int(record["channel"])
        stage = plan.protocol.channels[c].stages[record["stage"]]
        first, stop = plan.core.event_span(c, int(ordinal[c]))
        ordinal[c] += 1
        record["n_frames"] = stop - first
        odd = stage.train.alternate_polarity and record["index"] % 2
        record["sign"] = stage.event.polarity * (-1 if odd else 1)
    return records[records["level"] > 0]


def row(kind, onset=0.0, **fields):
    """One record that is no event."""
    made = np.zeros(1, RECORD_DTYPE)
    fields = {"plan_frame": onset, "channel": -1, "asked": -1, **fields}
    made["kind"], made["onset"] = kind, onset
    for name, value in fields.items():
        made[name] = value
    return made


def whole_run(plan, **made):
    """The records of a run that nobody touched."""
    start = row(RecordKind.START, asked=0)
    end = row(RecordKind.END, float(plan.n_frames))
    return np.concatenate([start, records_of(plan, **made), end])


class Ring:
    """What a writer takes from: batches, oldest first, one for each call."""

    def __init__(self, *batches, lost=0):
        self.batches, self.lost = list(batches), lost

    def __call__(self):
        if self.batches:
            return self.batches.pop(0), self.lost
        return np.zeros(0, RECORD_DTYPE), self.lost


def written(path, plan, *batches, loads=(), facts=FACTS, intensity=1.0, lost=0):
    """Write batches to a record, at once; return its path."""
    everything = np.concatenate(batches) if batches else np.zeros(0, RECORD_DTYPE)
    writer = RecordWriter(path, plan, Ring(everything, lost=lost), facts, lambda: None)
    writer.open()
    for other in loads:
        writer.load(other)
    writer.mark_start([intensity] * plan.n_channels)
    writer.close()
    assert writer.failure is None
    return path


class Bench:
    """The engine, its callback called by hand."""

    def __init__(self, plan, intensity=1.0, slew_per_s=1.0, n_records=100_000):
        self.plan = plan
        self.engine = Engine(
            plan.core,
            plan.n_frames,
            plan.output.sample_rate_hz,
            packed=False,
            slew_per_s=slew_per_s,
            ramp_s=0.1,
            watchdog_s=0.0,
            trip=False,
            cap_codes=[plan.output.max_code] * plan.n_channels,
            ma_per_code=plan.output.ma_per_code(plan.n_channels).tolist(),
            cap_total_ma=math.inf,
            n_records=n_records,
        )
        for c in range(plan.n_channels):
            self.engine.set_initial_intensity(c, intensity)

    def run(self, frames, block=997):
        """Call the callback for so many frames; return them."""
        blocks = []
        while frames > 0 or not blocks:
            part = min(frames, block)
            out = np.empty((part, self.plan.n_columns), self.plan.output.numpy_dtype)
            self.engine.process(out, part)
            blocks.append(out)
            frames -= part
        return np.concatenate(blocks)

    def start(self):
        assert self.engine.push(Command.START)

    def take(self):
        records = np.frombuffer(self.engine.take_records(), RECORD_DTYPE)
        return records, self.engine.records_lost
