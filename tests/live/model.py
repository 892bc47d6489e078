"""What a session must do, from the table of states and the rules of intensity.

Driven with the commands that the session gets, it says which events are due on
the device's clock and between which intensities. After a pause or a load the gain
rises "over the stage's ramp-up or at the slew, whichever is slower": the bounds
hold every reading of that.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from hypothesis import assume
from live.expected import level_at, levels_of, unit_charge

from nmes_wave import State

RAMP_S = 0.5
CUT_S = 0.02


class Due(NamedTuple):
    """An event that must be delivered."""

    plan: object
    row: object
    begin: int  # frame of the device
    unit: object  # charge of level 1
    low: float  # intensity
    high: float

    def __repr__(self):
        return f"<event {self.row} at {self.begin}, {self.low!r} to {self.high!r}>"

    @property
    def channel(self):
        return int(self.row["channel"])

    @property
    def end(self):
        return self.begin + len(self.unit)

    def levels(self):
        """The levels that it may have."""
        return (
            level_at(self.plan, self.row, max(0.0, self.low * (1 - 1e-9) - 1e-12)),
            level_at(self.plan, self.row, self.high * (1 + 1e-9) + 1e-12),
        )


class Got(NamedTuple):
    """An event as it came: the levels that give its codes, and whether it is there."""

    due: Due
    levels: tuple[int, int]
    absent: bool


class _Intensity:
    """Bounds of one channel's intensity, on the plan's clock."""

    def __init__(self, value):
        self.low = self.high = self.target = self.lowest = value
        self.rising_since = None  # seconds of the gain, None: it is 1

    def advanced(self, step):
        def move(value):
            if value < self.target:
                return min(self.target, value + step)
            return max(self.target, value - step)

        return move(self.low), move(self.high)

    def rise(self):
        """The gain begins anew from zero; nobody says where the intensity is."""
        self.low, self.high = min(self.low, self.target), max(self.high, self.target)
        self.lowest = self.low
        self.rising_since = 0.0


class Model:
    """A session, seen from outside.

    Attributes
    ----------
    state
        As the table has it, commands included that no callback has seen yet.
    due
        Events on the device's clock, in the order of their onset.
    """

    def __init__(self, plan, slew_per_s, intensity):
        self.slew = slew_per_s
        self.fs = plan.output.sample_rate_hz
        self.total_ma = plan.limits.max_total_current_ma
        self.state = State.RUNNING
        self.n_channels = plan.n_channels
        self.intensities = [_Intensity(x) for x in intensity]
        self.now = 0  # frames of the device
        self.due = []
        # No event is in flight from there on: for certain, and at the earliest.
        self.free_latest = self.free_earliest = 0
        self.load_number = 0
        self.waiting = None  # a plan to come
        self.silent = False
        self.stopped_s = None  # into the ramp
        self.faulted_at = None
        self._take(plan)

    def _take(self, plan):
        self.plan = plan
        self.pulses = plan.pulses()
        self.next = 0
        self.position = 0  # in the plan
        self.rise_s = [
            max(1 / self.slew, *(s.envelope.ramp_up_s for s in c.stages))
            for c in plan.protocol.channels
        ]

    # -- commands ---------------------------------------------------------------

    def set_intensity(self, value, channel):
        channels = range(self.n_channels) if channel is None else [channel]
        for c in channels:
            intensity = self.intensities[c]
            intensity.target = value
            if intensity.rising_since is not None:
                # it may rise to this from where it is, in the time that is left
                intensity.lowest = min(intensity.lowest, value)

    def pause(self):
        self.state = State.PAUSED

    def resume(self):
        if self.state is State.PAUSED:
            self.state = State.RUNNING
            for intensity in self.intensities:
                intensity.rise()

    def load(self, plan):
        self.waiting = plan
        self.asked_at = self.now

    def stop(self):
        if self.state is State.RUNNING:
            self.state = State.STOPPING
            self.stop_bounds = [self._bounds(c, 0.0) for c in range(self.n_channels)]
            self.stopped_s = 0.0
            # No old event begins after a load, and a new one is at intensity 0.
            self.silent = self.waiting is not None
            self.waiting = None
        elif self.state is State.PAUSED:
            self.state = State.STOPPED

    def fault(self):
        if self.faulted_at is None:
            self.faulted_at = self.now
        self.state = State.FAULT

    # -- time -------------------------------------------------------------------

    def _bounds(self, channel, dt):
        """Of the intensity, dt seconds on in the plan's time."""
        if self.stopped_s is not None:
            done = (self.stopped_s + dt) * self.fs
            # half a second is a whole number of frames
            ramp = RAMP_S * self.fs
            low, high = self.stop_bounds[channel]
            return (
                low * max(0.0, 1 - done / math.floor(ramp)),
                high * max(0.0, 1 - done / math.ceil(ramp)),
            )
        intensity = self.intensities[channel]
        low, high = intensity.advanced(self.slew * dt)
        if intensity.rising_since is not None:
            elapsed = intensity.rising_since + dt
            high = min(high, self.slew * elapsed)
            low = min(low, intensity.lowest)
            low *= min(1.0, elapsed / self.rise_s[channel])
        return low, high

    def call(self, frames, load_number, position):
        """A callback, after which the session counts so many loads and frames."""
        end = self.now + frames
        if self.waiting is not None and load_number > self.load_number:
            if self.state in (State.RUNNING, State.STOPPING):
                earliest = max(self.asked_at, self.free_earliest)
                latest = max(self.now, self.free_latest)
                begun = end - position
                if position >= self.waiting.n_frames:  # over already: when it began?
                    assume(earliest == latest)
                    begun = earliest
                assert earliest <= begun <= latest, (earliest, begun, latest)
                self.now = begun
            self._take(self.waiting)
            self.waiting = None
            self.load_number = load_number
            for intensity in self.intensities:
                intensity.rise()
        assert load_number == self.load_number or self.silent
        if self.state in (State.RUNNING, State.STOPPING) and not self.silent:
            if self.waiting is None:
                self._run(end - self.now)
            else:
                assert frames == 0 or end <= self.free_latest, "loads too late"
        elif self.silent:
            self.stopped_s += frames / self.fs
        self.now = end

    def _around(self, dt):
        return max(0.0, dt - 0.5 / self.fs), dt + 0.5 / self.fs

    def _run(self, frames):
        stop = self.position + frames
        while self.next < len(self.pulses) and self.pulses[self.next]["frame"] < stop:
            row = self.pulses[self.next]
            dt = (float(row["frame"]) - self.position) / self.fs
            low, high = self._bounds(row["channel"], dt)
            if self.plan.output.edges == "snap":
                # at the onset, or at the frame that it is snapped to
                near = [self._bounds(row["channel"], t) for t in self._around(dt)]
                low = min(low, *(pair[0] for pair in near))
                high = max(high, *(pair[1] for pair in near))
            begin = math.floor(row["frame"]) - self.position + self.now
            due = Due(self.plan, row, begin, unit_charge(self.plan, row), low, high)
            self.due.append(due)
            lowest, highest = due.levels()
            if highest > 0:
                self.free_latest = max(self.free_latest, due.end)
            if lowest > 0 and self.total_ma is None:
                self.free_earliest = max(self.free_earliest, due.end)
            self.next += 1
        dt = frames / self.fs
        for intensity in self.intensities:
            intensity.low, intensity.high = intensity.advanced(self.slew * dt)
            intensity.lowest = min(intensity.lowest, intensity.low)
            if intensity.rising_since is not None:
                intensity.rising_since += dt
        if self.stopped_s is not None:
            self.stopped_s += dt
        self.position = stop

    def states(self):
        """The states that the table allows now."""
        ended = self.waiting is None and self.position >= self.plan.n_frames
        in_flight = self.free_latest > self.now
        if self.state is State.RUNNING and ended:
            return {State.STOPPED}
        if self.state is State.STOPPING:
            if ended:
                return {State.STOPPED}
            if self.stopped_s * self.fs >= RAMP_S * self.fs + 2 and not in_flight:
                return {State.STOPPED}
            if self.stopped_s * self.fs > RAMP_S * self.fs - 2:
                return {State.STOPPING, State.STOPPED}
            if self.silent or not any(high for _, high in self.stop_bounds):
                return {State.STOPPING, State.STOPPED}
        return {self.state}

    # -- what came --------------------------------------------------------------

    def read(self, codes):
        """Read what the device received as what was due.

        Returns
        -------
        list of Got

        Raises
        ------
        AssertionError
            For an event that is none, of a wrong level, and codes beside events.
        """
        charge = codes[:, : self.n_channels].cumsum(axis=0)
        free = codes[:, : self.n_channels] != 0
        shared = {
            (other.channel, other.begin + 1) for other in self.due
        }  # last frame of an event, if it is another's first
        events = []
        for due in self.due:
            assert due.end <= len(charge), "the test must let events complete"
            free[due.begin : due.end, due.channel] = False
            got, unit = charge[due.begin : due.end, due.channel], due.unit
            if (due.channel, due.end) in shared:
                got, unit = got[:-1], unit[:-1]
            levels = levels_of(unit, got) or self._levels_of_cut(due, unit, got)
            assert levels is not None, ("no event of any level", due, got.tolist())
            lowest, highest = due.levels()
            absent = not got.any() and levels[1] < lowest
            if not absent:
                assert levels[0] <= highest, (levels, lowest, highest, due)
                assert levels[1] >= lowest, (levels, lowest, highest, due)
            events.append(Got(due, levels, absent))
        assert not free.any(), ("codes beside events", np.argwhere(free)[:4].tolist())
        return events

    def _levels_of_cut(self, due, unit, got):
        """Of an event that a fault ended early, at an instant of zero charge."""
        if self.faulted_at is None or due.end - self.faulted_at < CUT_S * self.fs - 1:
            return None
        if not got.any() or got[-1] != 0:
            return None
        cut = np.flatnonzero(got)[-1] + 1  # frames until its charge is zero for good
        assert due.begin + cut >= self.faulted_at
        return levels_of(unit[:cut], got[:cut])
