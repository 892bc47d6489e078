"""A source of controlled current with a compliance voltage, into one load.

While the voltage that the commanded current needs fits, the current is the
commanded one; else the source holds its rail, and the current is what the load
draws, until the commanded one fits again. Either way the load follows a linear
equation with real time constants: between two changes everything is a sum of
exponentials, integrated in closed form. Units: mA, V, kΩ, s, so mC and mJ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmes_wave.exponentials import decayed, first_above
from nmes_wave.loads import Network

#: Relative; what keeps rounding from switching to and fro.
TOLERANCE = 1e-9
#: Holds without clipping after which they are done by the thousand again.
_CALM = 16

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Segments:
    """Stretches of time without a change of command or mode, one after the other.

    Attributes
    ----------
    hold : ndarray of int64
        Number of the hold that it is a part of.
    rail : ndarray of int8
        0: the current is the commanded one; ±1: the voltage is ± the compliance.
    charge_mc, energy_mj, peak_v, peak_ma, end_v : ndarray of float64
        Delivered in it; magnitudes; the load's voltage at its end.
    """

    hold: NDArray[np.int64]
    rail: NDArray[np.int8]
    charge_mc: _Array
    energy_mj: _Array
    peak_v: _Array
    peak_ma: _Array
    end_v: _Array


class CurrentSource:
    """The source, the load and their state; begins discharged.

    Parameters
    ----------
    network
        The load.
    compliance_v
        The largest voltage; None: any.
    corner_hz
        Of the first-order high-pass that the commands pass; 0: none.
    """

    def __init__(
        self, network: Network, compliance_v: float | None, corner_hz: float = 0.0
    ) -> None:
        self.series = network.series_ohm / 1000
        self.branch = network.branch_ohm / 1000
        self.rate = 1 / network.time_constant_s
        self.limit = math.inf if compliance_v is None else compliance_v
        corner = 2 * math.pi * corner_hz
        # One time constant cannot be divided by its difference from itself.
        while np.any(np.abs(corner / self.rate - 1) < 1e-6):
            corner *= 1 + 4e-6
        self.corner = corner
        self.state = np.zeros(len(self.rate))  # V, of each branch
        self.passed = 0.0  # mA, what the high-pass takes off
        self._calm = _CALM
        # Each branch's voltage follows the command by this, then decays.
        self._follow = (self.branch / (1 - corner / self.rate)).tolist()
        self._rates = [corner, *self.rate.tolist()]
        self._weigh_modes()
        self._rail_rates = [corner, *self.rail_rate.tolist()]

    def _weigh_modes(self) -> None:
        """Find the modes of the load on a rail.

        With u = √C v of each branch the equations are symmetric.
        """
        root = np.sqrt(self.branch * self.rate)  # 1 / √C
        matrix = np.diag(self.rate) + np.outer(root, root) / self.series
        self.rail_rate, modes = np.linalg.eigh(matrix)
        # each is at least the branch's own (a rank-one sum); rounding knows not
        self.rail_rate = np.maximum(self.rail_rate, np.sort(self.rate))
        self._to_modes = modes.T / root
        self._from_modes = modes * root[:, np.newaxis]
        self._draw = self._from_modes.sum(axis=0)  # V, what each takes from the rail
        limit = 0.0 if math.isinf(self.limit) else self.limit  # 0: there is no rail
        self._steady_ma = limit / (self.series + self.branch.sum())
        self._steady = self._steady_ma * self.branch
        self._steady_modes = self._to_modes @ self._steady

    @property
    def memory_s(self) -> float:
        """Time after which nothing of the state is left beside rounding.

        Two states of the same source approach each other at least as fast as
        the slowest branch discharges, whatever the commands and the rails do.
        """
        slowest = 1 / float(self.rate.min(initial=math.inf))
        return 40 * (slowest + (1 / self.corner if self.corner else 0.0))

    def feed(self, command_ma: _Array, duration_s: _Array) -> Segments:
        """Hold commands, each for its duration; keeps the state for the next call."""
        fade = -np.expm1(-self.corner * duration_s)
        taken = _scan(1 - fade, command_ma * fade, self.passed)
        self.passed = float(taken[-1])
        current = command_ma - taken[:-1]
        if math.isinf(self.limit):
            states = self._free(current, duration_s)
            hold = np.arange(len(current))
            rail = np.zeros(len(current), np.int8)
            return self._segments(hold, rail, current, duration_s, states)
        return self._limited(current, duration_s)

    # -- holds one after the other ----------------------------------------------

    def _free(self, current: _Array, time: _Array) -> _Array:
        """Return the states at the begin of each hold and after, without rails."""
        states = np.empty((len(current) + 1, len(self.rate)))
        for k, (rate, branch) in enumerate(zip(self.rate, self.branch, strict=True)):
            slower = min(rate, self.corner)
            add = np.exp(-slower * time) * decayed(abs(rate - self.corner), time)
            add *= rate * branch * current
            states[:, k] = _scan(np.exp(-rate * time), add, self.state[k])
        self.state = states[-1]
        return states

    def _limited(self, current: _Array, time: _Array) -> Segments:
        """Take holds by the thousand where none can clip, else one by one."""
        if not len(self.rate) and not self.corner:  # a resistor: no state
            beyond = np.abs(current) * self.series > self.limit * (1 + TOLERANCE)
            rail = (np.sign(current) * beyond).astype(np.int8)
            states = np.empty((len(current) + 1, 0))
            return self._segments(np.arange(len(rail)), rail, current, time, states)
        parts: list[_Part] = []
        n, batch = 0, _CALM
        while n < len(current):
            if self._calm < _CALM:
                part = self._one_by_one(n, current, time)
                parts.append(part)
                n = int(part[0][-1]) + 1
                continue
            some = slice(n, n + batch)
            states = self._free(current[some], time[some])
            bad = self._may_clip(current[some], time[some], states)
            good = int(bad.argmax()) if bad.any() else len(bad)
            some = slice(n, n + good)
            rail = np.zeros(good, np.int8)
            hold = np.arange(n, n + good)
            parts.append((hold, rail, current[some], time[some], states[:good]))
            self.state = states[good]
            n += good
            batch = min(2 * batch, 1 << 16)
            if good < len(bad):
                batch, self._calm = _CALM, 0
        hold, rail, current, time, states = map(
            np.concatenate, zip(*parts, strict=True)
        )
        states = np.vstack([states, self.state])
        return self._segments(hold, rail, current, time, states)

    def _terms(self, current: _Array, states: _Array) -> tuple[_Array, _Array, _Array]:
        """Return the voltage as a sum of exponentials.

        Its value at first, then coefficients c (terms last) and rates r: the
        voltage after t is ``first + sum(c * expm1(-r * t))``, without loss of
        digits while t is short.
        """
        current = current[..., np.newaxis]
        follows = current * self._follow
        first = current[..., 0] * self.series + states.sum(axis=-1)
        with_corner = current[..., 0] * self.series + follows.sum(axis=-1)
        terms = np.concatenate(
            [with_corner[..., np.newaxis], states - follows], axis=-1
        )
        return first, terms, np.array(self._rates)

    def _may_clip(self, current: _Array, time: _Array, states: _Array) -> _Array:
        """Whether a hold's voltage could leave the rails: each term is monotone."""
        first, terms, rates = self._terms(current, states[:-1])
        moved = terms * np.expm1(-rates * time[:, np.newaxis])
        highest = first + np.maximum(moved, 0).sum(axis=-1)
        lowest = first + np.minimum(moved, 0).sum(axis=-1)
        limit = self.limit * (1 + TOLERANCE)
        out: _Array = (highest > limit) | (lowest < -limit)
        return out

    def _one_by_one(self, first: int, currents: _Array, times: _Array) -> _Part:
        """Take holds, with every change between current and rail inside them.

        From number `first` on, until none has clipped for a while. Floats of
        Python: for a branch or two they are faster than arrays.
        """
        rows: list[tuple[int, int, float, float]] = []
        states: list[list[float]] = []
        state = self.state.tolist()
        limit = self.limit * (1 + TOLERANCE)
        for n in range(first, len(currents)):
            current, time = float(currents[n]), float(times[n])
            needed = current * self.series + sum(state)
            rail = int(needed > limit) - int(needed < -limit)
            clipped = False
            while True:
                until, after = self._change(rail, current, time, state)
                rows.append((n, rail, current, until))
                states.append(state)
                clipped = clipped or rail != 0
                state = self._after(rail, current, until, state)
                if until >= time:
                    break
                time -= until
                current *= math.exp(-self.corner * until)
                rail = after
            self._calm = 0 if clipped else self._calm + 1
            if self._calm >= _CALM:
                break
        self.state = np.array(state)
        hold, rails, current_ma, time_s = zip(*rows, strict=True)
        return (
            np.array(hold),
            np.array(rails, np.int8),
            np.array(current_ma),
            np.array(time_s),
            np.array(states),
        )

    def _change(
        self, rail: int, current: float, time: float, state: list[float]
    ) -> tuple[float, int]:
        """Return when the present mode ends, at most `time`, and the next one."""
        near = 0.01 * TOLERANCE * self.limit
        needed = current * self.series + sum(state)
        if rail == 0:
            follows = [current * f for f in self._follow]
            terms = [current * self.series + sum(follows)]
            terms += [s - f for s, f in zip(state, follows, strict=True)]
            found = time, 0
            for side in (1, -1):
                above = side * needed - self.limit * (1 + TOLERANCE)
                c = [side * term for term in terms]
                when = first_above(above, c, self._rates, found[0], near)
                if when is not None:
                    found = when, side
            return found
        # on a rail: how far what is drawn is above the command, times Rs
        above = self.limit * (1 - TOLERANCE) - rail * needed
        modes = self._to_modes @ state - rail * self._steady_modes
        c = [-rail * current * self.series, *(-rail * self._draw * modes).tolist()]
        when = first_above(above, c, self._rail_rates, time, near)
        return (time, 0) if when is None else (when, 0)

    def _after(
        self, rail: int, current: float, time: float, state: list[float]
    ) -> list[float]:
        """Return the state after `time` in a mode."""
        if rail:
            modes = self._to_modes @ state - rail * self._steady_modes
            modes *= np.exp(-self.rail_rate * time)
            after: list[float] = (
                rail * self._steady + self._from_modes @ modes
            ).tolist()
            return after
        # of a megaohm's final voltage, a difference of exponentials near 1 would
        # lose more than the tolerance: the mode would change to and fro for ever
        held = math.expm1(-self.corner * time)
        out = []
        for s, f, rate in zip(state, self._follow, self.rate.tolist(), strict=True):
            kept = math.expm1(-rate * time)
            out.append(s + s * kept + current * f * (held - kept))
        return out

    # -- what flowed --------------------------------------------------------------

    def _segments(
        self,
        hold: NDArray[np.int64],
        rail: NDArray[np.int8],
        current: _Array,
        time: _Array,
        states: _Array,
    ) -> Segments:
        """Integrate; `states` has one row more, the state after the last."""
        first, terms, rates = self._terms(current, states[:-1])
        t = time[:, np.newaxis]
        once = decayed(self.corner, time)
        charge = current * once
        energy = first * once
        energy += (terms * (decayed(rates + self.corner, t) - once[:, np.newaxis])).sum(
            axis=-1
        )
        energy *= current
        end_ma = current * np.exp(-self.corner * time)
        end_v = end_ma * self.series + states[1:].sum(axis=-1)
        between_v = first + _turned(terms, rates, time)
        peak_v = np.abs(np.stack([first, between_v, end_v])).max(axis=0)
        peak_v = peak_v.clip(max=self.limit)
        peak_ma = np.abs(current)
        on = np.flatnonzero(rail)
        if len(on):
            side = rail[on]
            modes = (states[on] - side[:, np.newaxis] * self._steady) @ self._to_modes.T
            drawn = modes * self._draw * decayed(self.rail_rate, t[on])
            drawn = drawn.sum(axis=-1) / self.series
            charge[on] = side * self._steady_ma * time[on] - drawn
            end_v[on] = side * self.limit
            energy[on] = end_v[on] * charge[on]
            peak_v[on] = self.limit
            both = np.stack([states[on].sum(axis=-1), states[on + 1].sum(axis=-1)])
            peak_ma[on] = np.abs((end_v[on] - both) / self.series).max(axis=0)
        return Segments(hold, rail, charge, energy, peak_v, peak_ma, end_v)


#: Hold, rail, current, time, state at the begin.
_Part = tuple[NDArray[np.int64], NDArray[np.int8], _Array, _Array, _Array]


def _scan(keep: _Array, add: _Array, state: float) -> _Array:
    """Return ``state``, then ``state * keep + add`` again and again."""
    states = [state]
    for k, a in zip(keep.tolist(), add.tolist(), strict=True):
        state = state * k + a
        states.append(state)
    return np.array(states)


def _turned(terms: _Array, rates: _Array, time: _Array) -> _Array:
    """Return what sums of ``c expm1(-r t)`` are where they turn; 0: they do not.

    A voltage can rise and fall within a hold where there are two time constants
    or more. By bisection, so that of several turns one is found.
    """
    out = np.zeros(len(time))
    slopes = terms * rates
    begin = slopes.sum(axis=-1)
    ends = (slopes * np.exp(-rates * time[:, np.newaxis])).sum(axis=-1)
    turn = np.flatnonzero(begin * ends < 0)
    low, high = np.zeros(len(turn)), time[turn]
    for _ in range(40 if len(turn) else 0):
        middle = (low + high) / 2
        slope = (slopes[turn] * np.exp(-rates * middle[:, np.newaxis])).sum(axis=-1)
        before = slope * begin[turn] > 0
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    out[turn] = (terms[turn] * np.expm1(-rates * low[:, np.newaxis])).sum(axis=-1)
    return out
