"""Errors of every event, and the sentences about them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nmes_wave.plan import PULSE_DTYPE
from nmes_wave.verification.band import IN_BAND
from nmes_wave.verification.clock import Clock, fitted, local_errors
from nmes_wave.verification.learning import typical_gain
from nmes_wave.verification.observing import FOUND, Chain, Observer
from nmes_wave.verification.result import EVENT_DTYPE, Jump
from nmes_wave.verification.tolerance import Tolerance
from nmes_wave.verification.tracking import Track

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Errors of weaker events are relative to this part of the largest amplitude.
WEAK = 0.1
#: A channel whose typical event is this little above its noise is dead, or
#: this little of the other channels' gain.
DEAD = 0.01


class Judgement:
    """All events of a track against a tolerance."""

    def __init__(
        self, observer: Observer, track: Track, chain: Chain, tolerance: Tolerance,
        z: float,
    ) -> None:  # fmt: skip
        order = np.argsort(track.rows["frame"], kind="stable")
        self.observer, self.tolerance, self.z = observer, tolerance, z
        self.track = track
        self.rows, self.fits = track.rows[order], track.fits[order]
        self.frames, self.noise = track.frames[order], track.noise[order]
        self.covered, self.lost = track.covered[order], track.lost[order]
        self.stretch = track.stretch[order]
        self.channel = self.rows["channel"]
        self._gains(chain)
        self._find()
        self._time()
        self.events = self._errors()
        self._name()

    def _gains(self, chain: Chain) -> None:
        n = self.observer.plan.n_channels
        gains = np.full(n, np.nan)
        for c in range(n):
            mine = (self.channel == c) & self.covered & ~self.lost
            gain = typical_gain(self.fits[mine])
            if gain is not None:
                gains[c] = gain
        known = np.abs(gains[np.isfinite(gains)])
        usual = float(known.max()) if len(known) else 1.0
        self.dead = np.zeros(n, np.bool_)
        for c in range(n):
            mine = (self.channel == c) & self.covered & ~self.lost
            if not mine.any():
                continue
            fits = self.fits[mine]
            strong = fits["energy"] >= 0.25 * fits["energy"].max()
            peak = np.sqrt(fits["energy"][strong])
            noise = IN_BAND * self.noise[mine][strong]
            clear = np.abs(fits["ratio"][strong]) * peak > self.z * noise
            self.dead[c] = clear.mean() < 0.1 or abs(gains[c]) < DEAD * usual
        self.gains = np.where(self.dead | ~np.isfinite(gains), usual, gains)

    def _find(self) -> None:
        gain = np.abs(self.gains)[self.channel]
        energy = self.fits["energy"].copy()
        self.unit = np.where(energy > 0, energy, 1.0)
        peak = gain * np.sqrt(self.unit)
        self.relative = IN_BAND * self.noise / peak
        self.decidable = (energy > 0) & (self.relative * self.z < FOUND)
        # what the recording skipped would have been heard as its likes were
        largest = self.observer.largest_ma[self.channel]
        self.decidable |= self.lost & (self.rows["amplitude_ma"] > 0.2 * largest)
        self.ratio = self.fits["ratio"] / self.gains[self.channel]
        self.found = self.covered & ~self.lost & (np.abs(self.ratio) > FOUND)
        self.found &= energy > 0

    def _time(self) -> None:
        """Set time errors, and the clock of each stretch."""
        rate = self.observer.rate_hz
        steep = np.abs(self.gains)[self.channel] * np.sqrt(
            np.where(self.fits["steepness"] > 0, self.fits["steepness"], 1.0)
        )
        self.time_noise_us = IN_BAND * self.noise / steep / rate * 1e6
        self.good = self.found & self.decidable & (self.ratio > 0)
        self.late_us = np.zeros(len(self.rows))
        self.clocks: list[Clock] = []
        for n, stretch in enumerate(self.track.stretches):
            mine = self.stretch == n
            good = mine & self.good
            planned = self.rows["frame"]
            clock = fitted(self.frames[good], planned[good], stretch.clock)
            self.clocks.append(clock)
            late = local_errors(
                self.frames[mine], planned[mine], good[mine], clock, rate
            )
            self.late_us[mine] = late / rate * 1e6

    def _errors(self) -> NDArray[np.void]:
        rate = self.observer.rate_hz
        out = np.zeros(len(self.rows), EVENT_DTYPE)
        for name in PULSE_DTYPE.names or ():
            out[name] = self.rows[name]
        fits, gain = self.fits, self.gains[self.channel]
        largest = self.observer.largest_ma[self.channel]
        weak = np.maximum(1.0, WEAK * largest / self.rows["amplitude_ma"])
        self.weak = weak
        out["time_s"] = self.frames / rate
        out["time_error_us"] = self.late_us
        out["amplitude_error"] = self.ratio - 1
        gross = np.where(fits["planned_gross"] > 0, fits["planned_gross"], 1.0)
        self.gross = gross
        out["charge_error"] = fits["gross"] / gain / gross - 1
        out["net_charge_uc"] = fits["net"] / gain / rate * 1000
        excess = np.maximum(fits["rest"] - fits["n_rest"] * self.noise**2, 0)
        actual = np.abs(np.where(self.found, fits["ratio"], 1.0)) * np.sqrt(self.unit)
        out["shape_error"] = np.sqrt(excess) / np.where(actual > 0, actual, 1.0)
        out["found"], out["covered"] = self.found, self.covered
        out["decidable"] = self.decidable
        for name in ("time_error_us", "amplitude_error", "charge_error"):
            out[name][~self.found] = np.nan
        for name in ("net_charge_uc", "shape_error"):
            out[name][~self.found] = np.nan
        return out

    def _name(self) -> None:
        """Name what is wrong with each event, the first cause first."""
        events, allowed, z = self.events, self.tolerance, self.z
        fits, gain = self.fits, np.abs(self.gains)[self.channel]
        told = self.covered & self.decidable
        seen = told & self.found

        def above(value: Floats, limit: Floats | float, noise: Floats) -> Mask:
            out: Mask = seen & (np.abs(value) > np.maximum(limit, z * noise))
            return out

        n = np.maximum(fits["n_rest"], 1.0)
        chance = n + z * np.sqrt(2 * n) * IN_BAND + z * z
        heard = fits["rest"] > chance * self.noise**2
        shape = seen & heard & (
            events["shape_error"] > allowed.shape_percent / 100 * self.weak
        )  # fmt: skip
        swing = IN_BAND * self.noise / gain / self.gross
        charge_noise = swing * np.sqrt(fits["n_gross"])
        # that of the offset, a median, counts for every sample
        net_noise = swing * np.sqrt(n + n**2 * 1.6 / np.maximum(fits["n_outer"], 1.0))
        planned_net = fits["planned_net"] / self.gross
        net = fits["net"] / self.gains[self.channel] / self.gross - planned_net
        limit = allowed.charge_percent / 100 * self.weak
        apart = events["charge_error"] - events["amplitude_error"]
        wide = above(apart, limit, np.hypot(charge_noise, self.relative))
        faults = {
            "missing": told & ~self.found,
            "inverted": seen & (self.ratio < 0),
            "width": shape & wide,
            "shape": shape,
            "time": above(events["time_error_us"], allowed.time_us, self.time_noise_us),
            "amplitude": above(
                events["amplitude_error"],
                allowed.amplitude_percent / 100 * self.weak,
                self.relative,
            ),
            "charge": above(events["charge_error"], limit, charge_noise),
            "net charge": above(
                net, allowed.net_charge_percent / 100 * self.weak, net_noise
            ),
        }
        for name in reversed(faults):
            events["fault"][faults[name]] = name

    # -- in words -------------------------------------------------------------------

    @property
    def jumps(self) -> tuple[Jump, ...]:
        """Where the clock jumps."""
        out = []
        for n in range(1, len(self.clocks)):
            good = (self.stretch == n) & self.good
            k = int(np.flatnonzero(good)[0]) if good.any() else None
            stretch = self.track.stretches[n]
            at = float(self.frames[k]) if k is not None else float(stretch.begin)
            plan_frame = np.array([self.clocks[n].at(at)])
            before = float(self.clocks[n - 1].frames(plan_frame)[0])
            out.append(Jump(time_s=at / self.observer.rate_hz, frames=at - before))
        return tuple(out)

    def sentences(self, c: int, name: str) -> list[str]:
        """Return what is wrong with the events of one channel."""
        mine = self.events[self.channel == c]
        if self.dead[c]:
            return [f"{name}: none of its {len(mine)} events is in the recording"]
        out = []
        for fault, (field, scale, unit) in _TOLD.items():
            rows = mine[mine["fault"] == fault]
            if not len(rows):
                continue
            row = rows[0]
            text = f"{name}: {len(rows)} {_events(len(rows))} {_WORDS[fault]}"
            if field:
                worst = rows[np.abs(rows[field]).argmax()]
                text += f" by up to {scale * worst[field]:+.4g} {unit}"
            out.append(
                f"{text}; the first at {row['time_s']:.6f} s (stage {row['stage']}, "
                f"on-period {row['on_period']}, event {row['index']})"
            )
        return out


_TOLD = {
    "missing": ("", 1.0, ""),
    "inverted": ("", 1.0, ""),
    "width": ("charge_error", 100.0, "% of charge"),
    "shape": ("shape_error", 100.0, "% r.m.s."),
    "time": ("time_error_us", 1.0, "µs (late: +)"),
    "amplitude": ("amplitude_error", 100.0, "%"),
    "charge": ("charge_error", 100.0, "%"),
    "net charge": ("net_charge_uc", 1.0, "µC"),
}
_WORDS = {
    "missing": "missing",
    "inverted": "inverted",
    "width": "of another width, off",
    "shape": "of another shape, off",
    "time": "at another time, off",
    "amplitude": "of another amplitude, off",
    "charge": "of another charge, off",
    "net charge": "with a net charge, off",
}


def _events(n: int) -> str:
    return "event" if n == 1 else "events"


def jump_sentence(jump: Jump, rate_hz: float) -> str:
    """Say a jump in words."""
    n = abs(jump.frames)
    number = f"{n:.0f}" if abs(n - round(n)) < 0.05 else f"{n:.2f}"
    how, why = ("late", "put in") if jump.frames > 0 else ("early", "lost")
    noun = "frame" if number == "1" else "frames"
    return (
        f"from {jump.time_s:.3f} s of the recording on, {number} {noun} "
        f"({n / rate_hz * 1000:.3f} ms) {how}: {why} there"
    )


def false_alarm_z(n_tests: float, probability: float = 1e-3) -> float:
    """Return the standard deviations that one of `n_tests` passes so rarely."""
    from scipy.special import ndtri

    return -float(ndtri(probability / (2 * max(n_tests, 1.0)))) if n_tests else math.inf
