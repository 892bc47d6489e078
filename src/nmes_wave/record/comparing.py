"""Whether what was delivered is what was planned."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmes_wave.errors import SpecError
from nmes_wave.plan import Plan
from nmes_wave.record.comparison import EXAMPLES, Comparison, Tally
from nmes_wave.record.reader import EventRecord, RecordRow
from nmes_wave.record.sidecar import SECTION, plan_sha256

#: Onsets in the plan are the kernel's own, printed exactly; it states 1e-6 frame.
PLAN_TOLERANCE_FRAMES = 1e-5
#: Half of the last printed digit of an onset, twice.
ONSET_TOLERANCE_S = 1e-9
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def compare(plan: Plan | Sequence[Plan], events: EventRecord) -> Comparison:
    """Compare what was delivered with what was planned.

    Parameters
    ----------
    plan
        The session's plan; a sequence if others were loaded, in their order.
    events
        The record, from `read_events`.

    Returns
    -------
    Comparison

    Raises
    ------
    SpecError
        If there are not as many plans as the record has, or if rate, format,
        calibration or channels differ from the recorded ones.

    Notes
    -----
    An event is found by its onset in the plan. Its level must be
    ``floor(planned amplitude × recorded intensity / full scale × largest
    code)``, ± 1 code; within a stretch without a pause or load, the device's
    clock must be ahead of the plan's by the same number of frames for all
    events.

    A record does not hold events below one code. A planned event that is not
    in the record is *silent*, not missing, where the commands and its recorded
    neighbours say that its level was below one code.
    """
    plans = [plan] if isinstance(plan, Plan) else list(plan)
    _check_plans(plans, events)
    tally = Tally()
    for load, made in enumerate(plans):
        _Load(load, made, events, tally).judge()
    rows = events.events
    delivered = rows["status"] != "left out"
    return Comparison(
        delivered=int(delivered.sum()),
        matched=tally.matched,
        missing=tally.count("missing"),
        extra=tally.count("extra"),
        wrong=tally.wrong,
        unconfirmed=int((rows["status"] == "unconfirmed").sum()),
        silent=tally.silent,
        not_reached=tally.not_reached,
        superseded=tally.superseded,
        records_lost=events.records_lost,
        truncated=events.truncated,
        full_intensity=bool((rows["intensity"][delivered] == 1.0).all()),
        same_plan=events.plan_sha256
        == tuple(plan_sha256(p.protocol, p.output) for p in plans),
        findings=tally.findings,
    )


def _check_plans(plans: list[Plan], record: EventRecord) -> None:
    if len(plans) != len(record.outputs):
        raise SpecError(
            "plan",
            f"{len(plans)} plan(s)",
            f"the record has {len(record.outputs)}: give the session's plan and "
            "every one that was loaded, in order",
        )
    for i, (plan, output, protocol) in enumerate(
        zip(plans, record.outputs, record.protocols, strict=True)
    ):
        for name in ("sample_rate_hz", "dtype", "full_scale_ma"):
            given, recorded = getattr(plan.output, name), getattr(output, name)
            if given != recorded:
                raise SpecError(
                    f"plan[{i}].output.{name}", given, f"the record has {recorded}"
                )
        if plan.n_channels != len(protocol.channels):
            raise SpecError(
                f"plan[{i}].n_channels",
                plan.n_channels,
                f"the record has {len(protocol.channels)}",
            )


class _Load:
    """One plan and the events of it."""

    def __init__(
        self, load: int, plan: Plan, record: EventRecord, tally: Tally
    ) -> None:
        self.load, self.plan, self.record, self.tally = load, plan, record, tally
        self.rate = plan.output.sample_rate_hz
        self.scales_ma = np.array(plan.output.full_scales_ma(plan.n_channels))
        self.commands = [row for row in record.commands if row.load == load]
        self.notes = [row for row in record.notes if row.load == load]
        self.resumes = [row.onset_s for row in self.commands if row.kind == "resume"]

    def judge(self) -> None:
        rows = self.record.events[self.record.events["load"] == self.load]
        planned = self.plan.pulses()
        pairs, absent = [], []
        for c in range(self.plan.n_channels):
            mine = planned[planned["channel"] == c]
            taken, at = self._pair(rows[rows["channel"] == c], mine["frame"])
            unrecorded = np.ones(len(mine), np.bool_)
            unrecorded[at] = False
            unrecorded &= self._codes(mine, 1.0) >= 1
            spans = [self.plan.core.event_span(c, i) for i in at.tolist()]
            frames = np.array([b - a for a, b in spans], np.float64)
            pairs.append((taken, mine[at], frames))
            absent.append(mine[unrecorded])
        got, expected, frames = map(np.concatenate, zip(*pairs, strict=True))
        lag = self._lag(got)
        self._judge_pairs(got, expected, frames, lag)
        limit = self._limit(got, lag)
        for c, mine in enumerate(absent):
            after = mine["frame"] > limit
            if self.load + 1 < len(self.record.outputs):
                self.tally.superseded += int(after.sum())
            else:
                self.tally.not_reached += int(after.sum())
            mine = mine[~after]
            silent = self._silent(c, mine, got[got["channel"] == c])
            self.tally.silent += int(silent.sum())
            self.tally.note("missing", mine[~silent], [""] * EXAMPLES)

    def _pair(
        self, rows: NDArray[np.void], planned: Floats
    ) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        """Return the rows that are in the plan, by onset, and where in it they are."""
        rows = rows[np.argsort(rows["plan_frame"], kind="stable")]
        frames = rows["plan_frame"]
        at = np.searchsorted(planned, frames - PLAN_TOLERANCE_FRAMES)
        there = at < len(planned)
        there[there] = planned[at[there]] <= frames[there] + PLAN_TOLERANCE_FRAMES
        there[1:] &= ~(there[:-1] & (at[1:] == at[:-1]))
        self.tally.note("extra", rows[~there], [""] * EXAMPLES)
        return rows[there], at[there]

    def _codes(self, planned: NDArray[np.void], intensity: Floats | float) -> Floats:
        scale_ma = self.scales_ma[planned["channel"]]
        codes = planned["amplitude_ma"] * intensity / scale_ma
        whole: Floats = np.floor(codes * self.plan.output.max_code * (1 + 1e-12))
        return whole

    def _stretches(self, rows: NDArray[np.void]) -> NDArray[np.int64]:
        """Return the number of resumes before each row."""
        return np.searchsorted(np.sort(self.resumes), rows["onset_s"], side="right")

    def _lag(self, got: NDArray[np.void]) -> dict[int, float]:
        """Return by how many frames the device is ahead of the plan, by stretch."""
        lag = got["onset_s"] * self.rate - got["plan_frame"]
        stretch = self._stretches(got)
        return {int(s): float(np.median(lag[stretch == s])) for s in np.unique(stretch)}

    # -- events that are in the plan ---------------------------------------------

    def _judge_pairs(
        self,
        got: NDArray[np.void],
        planned: NDArray[np.void],
        frames: Floats,
        lags: dict[int, float],
    ) -> None:
        left_out = got["status"] == "left out"
        self.tally.note(
            "missing", got[left_out], [": left out for the total cap"] * EXAMPLES
        )
        got, planned, frames = got[~left_out], planned[~left_out], frames[~left_out]
        wrong = np.zeros(len(got), np.bool_)

        def check(
            name: str, good: Mask, told: NDArray[Any], asked: NDArray[Any]
        ) -> None:
            bad = ~good
            wrong[bad] = True
            some = np.flatnonzero(bad)[:EXAMPLES]
            says = [f": {told[i]} instead of {asked[i]}" for i in some]
            self.tally.note(name, got[bad], says)

        ma_per_code = self.scales_ma[got["channel"]] / self.plan.output.max_code
        level = self._codes(planned, got["intensity"])
        check(
            "amplitude_ma",
            np.abs(got["amplitude_ma"] / ma_per_code - level) <= 1.5,
            got["amplitude_ma"],
            level * ma_per_code,
        )
        given = np.rint(got["duration_s"] * self.rate)
        check("frames", (given == frames) & (got["status"] != "cut"), given, frames)
        for name in ("stage", "on_period", "index"):
            check(name, got[name] == planned[name], got[name], planned[name])
        polarity, balanced = self._signs(planned)
        check("polarity", got["polarity"] == polarity, got["polarity"], polarity)
        charge = got["net_charge_uc"]
        check("net_charge_uc", ~balanced | (charge == 0), charge, 0 * charge)
        stretch = self._stretches(got)
        onset = got["onset_s"] * self.rate
        due = got["plan_frame"] + [lags[s] for s in stretch.tolist()]
        tolerance = ONSET_TOLERANCE_S * self.rate + PLAN_TOLERANCE_FRAMES
        check("onset_frames", np.abs(onset - due) <= tolerance, onset, due)

        unconfirmed = got["status"] == "unconfirmed"
        self.tally.wrong += int(wrong.sum())
        self.tally.matched += int((~wrong & ~unconfirmed).sum())

    def _signs(self, planned: NDArray[np.void]) -> tuple[NDArray[np.int64], Mask]:
        """Return polarity and whether it is balanced, of every planned event."""
        polarity = np.ones(len(planned), np.int64)
        balanced = np.ones(len(planned), np.bool_)
        for c, channel in enumerate(self.plan.protocol.channels):
            for s, stage in enumerate(channel.stages):
                mine = (planned["channel"] == c) & (planned["stage"] == s)
                polarity[mine] = stage.event.polarity
                if stage.train.alternate_polarity:
                    polarity[mine & (planned["index"] % 2 == 1)] *= -1
                balanced[mine] = getattr(stage.event, "balanced", True)
        return polarity, balanced

    # -- events that are not in the record ----------------------------------------

    def _limit(self, got: NDArray[np.void], lags: dict[int, float]) -> float:
        """Return the plan frame after which nothing more was to be delivered."""
        last = float(got["plan_frame"].max(initial=-np.inf))
        loads = [row for row in self.record.commands if row.kind == "load"]
        if self.load < len(loads):
            return self._loaded_at(loads[self.load], got, lags)
        stops = [row.plan_frame for row in self.commands if row.kind == "stop"]
        ends = {row.kind for row in self.notes}
        if stops and "fault" not in ends:
            return max(stops[0], last)
        # killed, or faulted: the ramp of a fault begins without a row
        return np.inf if "end" in ends and "fault" not in ends else last

    def _loaded_at(
        self, load: RecordRow, got: NDArray[np.void], lags: dict[int, float]
    ) -> float:
        """Return where the clock stood when the next plan was asked for.

        That is not in the record, which has the moment at which the next plan
        began. If an event was in flight until then, the clock had stopped
        anywhere before: what comes after the last event may have been due.
        """
        last = float(got["plan_frame"].max(initial=-np.inf))
        clock = [row for row in self.commands if row.kind in ("pause", "resume")]
        if clock and clock[-1].kind == "pause":
            return max(clock[-1].plan_frame - 0.5, last)
        onset = np.floor(got["onset_s"] * self.rate + ONSET_TOLERANCE_S * self.rate)
        end = float((onset + got["duration_s"] * self.rate).max(initial=0))
        begin = load.onset_s * self.rate
        lag = lags.get(len(self.resumes))
        if lag is None or end > begin - 0.5:
            return last
        return max(begin - lag - 0.5, last)

    def _silent(self, c: int, absent: NDArray[np.void], got: NDArray[np.void]) -> Mask:
        """Return which absent events had a level below one code."""
        silent = np.zeros(len(absent), np.bool_)
        at, heard = absent["frame"], got["plan_frame"]
        segments = [*self._segments(c), (np.inf, None, False)]
        for (begin, target, from_zero), (end, *_) in pairwise(segments):
            inside = (at >= begin) & (at < end)
            here = heard[(heard >= begin) & (heard < end)]
            if target is not None:
                # once it has arrived
                arrived = at > here.max(initial=-np.inf)
                silent |= inside & arrived & (self._codes(absent, target) < 1)
            silent |= inside & self._is_between(absent, got, end, target)
            if from_zero:
                # a gain that rises from zero is below the line to its next value
                after = got[heard >= begin][:1]
                gain, until = 1.0, begin + 1
                if len(after):
                    gain, until = after["intensity"][0], after["plan_frame"][0]
                bound = gain * np.clip((at - begin) / max(until - begin, 1e-9), 0, 1)
                silent |= inside & (at < until) & (self._codes(absent, bound) < 1)
        return silent

    def _is_between(
        self,
        absent: NDArray[np.void],
        got: NDArray[np.void],
        end: float,
        target: float | None,
    ) -> Mask:
        """Return which absent events were below one code as their neighbours say.

        Within a segment the intensity moves one way only: it lies between that of
        the recorded event before and that of the next one, or the target.
        """
        at, heard = absent["frame"], got["plan_frame"]
        n = np.searchsorted(heard, at)
        arriving = np.inf if target is None else target
        padded = np.concatenate([[np.nan], got["intensity"], [arriving]])
        followed = np.append(heard, np.inf)[n] < end
        after = np.where(followed, padded[n + 1], arriving)
        before = np.where(n > 0, padded[n], after)
        low, high = np.minimum(before, after), np.maximum(before, after)
        quiet: Mask = self._codes(absent, low) < 1
        # one code above: the rounding of a level that moves
        quiet &= self._codes(absent, high) <= 1
        return quiet

    def _segments(self, c: int) -> list[tuple[float, float | None, bool]]:
        """Return the begins, targets and whether the gain rises from zero there."""
        target = _start_intensity(self.record, c)
        segments = []
        for row in self.record.commands:
            if row.kind == "set_intensity" and row.channel in (None, c):
                segments.append((row.load, row.plan_frame, row.intensity, target == 0))
                target = row.intensity
            elif row.kind == "resume":
                segments.append((row.load, row.plan_frame, target, True))
            elif row.kind == "stop":
                segments.append((row.load, row.plan_frame, 0.0, False))
        first = _start_intensity(self.record, c)
        for load, _, wanted, _ in segments:
            if load < self.load:
                first = wanted
        own = [(at, wanted, zero) for load, at, wanted, zero in segments
               if load == self.load]  # fmt: skip
        # A load makes the gain rise from zero, a start does not.
        starts = any(row.kind == "start" for row in self.commands)
        begun = [(0.0, first, self.load > 0 and not starts)]
        for at, wanted, from_zero in own:
            if at == begun[-1][0]:
                # nothing lies between the two: the gain still rises from zero
                from_zero |= begun.pop()[2]
            begun.append((at, wanted, from_zero))
        return begun


def _start_intensity(record: EventRecord, channel: int) -> float | None:
    start = record.sidecar[SECTION]["start_intensity"]
    return None if start is None else float(start[channel])
