"""Test loads: what a channel's current flows through.

Every load is a resistor in series with branches of a resistor beside a
capacitor (none, one, or as many as a constant-phase element takes), so that one
closed form serves them all. They are linear; skin is not.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmes_wave.errors import SpecError
from nmes_wave.spec._fields import Range, Spec
from nmes_wave.spec._file import nearest

#: The band over which the error of a `ConstantPhase` is stated, in Hz.
BAND_HZ = (1.0, 1e6)
#: Time constants of its branches: to a decade beyond the band, so many a decade.
_DECADES_BEYOND, _PER_DECADE = 1.0, 3
#: What relaxes faster is a resistor: at 1 MHz the difference is 6e-9.
_FASTEST_S = 1e-15
#: Of a frequency whose impedance is asked for.
_HIGHEST_HZ = 1e15

Resistance = Annotated[float, Range(ge=1e-3, le=1e7, unit="ohm")]
Capacitance = Annotated[float, Range(ge=1e-6, le=1e9, unit="nF")]

_Array = NDArray[np.float64]
_Impedance = NDArray[np.complex128]


class Network(NamedTuple):
    """A resistor in series with branches, each a resistor beside a capacitor."""

    series_ohm: float
    branch_ohm: _Array
    time_constant_s: _Array

    def impedance(self, frequency_hz: ArrayLike) -> _Impedance:
        """Return the complex impedance in ohm, of the shape of `frequency_hz`."""
        s = _s(frequency_hz)[..., np.newaxis]
        branches = self.branch_ohm / (1 + s * self.time_constant_s)
        total: _Impedance = self.series_ohm + branches.sum(axis=-1)
        return total


@dataclass(frozen=True, kw_only=True)
class Load(Spec, ABC):
    """Base of all loads: `Resistor`, `SeriesRC`, `ConstantPhase`."""

    @abstractmethod
    def impedance(self, frequency_hz: ArrayLike) -> _Impedance:
        """Return the exact complex impedance.

        Parameters
        ----------
        frequency_hz
            Real, 0 to 1e15, of any shape.

        Returns
        -------
        ndarray
            complex128, in ohm, of the same shape.

        Raises
        ------
        SpecError
            For what is no number, or out of range.
        """

    @property
    @abstractmethod
    def network(self) -> Network:
        """What is simulated."""

    @property
    def error(self) -> float:
        """Largest relative error of the simulated impedance; see `ConstantPhase`."""
        return 0.0

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the test loads."""
        return tuple(_NAMED_OHM)

    @classmethod
    def named(cls, name: str) -> Load:
        """Return a test load.

        Parameters
        ----------
        name
            ``500 ohm``, ``2 kohm`` or ``10 kohm``: the resistors under which a
            device's output is to be shown (FDA, Guidance Document for Powered
            Muscle Stimulator 510(k)s, 1999, Attachment II).

        Raises
        ------
        SpecError
            For an unknown name; it says the nearest one.
        """
        if not isinstance(name, str) or name not in _NAMED_OHM:
            words = nearest(str(name), [*cls.names()])
            raise SpecError("Load.named", name, f"is no test load; {words}")
        return Resistor(resistance_ohm=_NAMED_OHM[name])


_NAMED_OHM = {"500 ohm": 500.0, "2 kohm": 2000.0, "10 kohm": 10_000.0}


@dataclass(frozen=True, kw_only=True)
class Resistor(Load):
    """A resistor.

    Parameters
    ----------
    resistance_ohm
        1 mΩ to 10 MΩ.

    Raises
    ------
    SpecError
        For a value out of range.
    """

    resistance_ohm: Resistance

    def impedance(self, frequency_hz: ArrayLike) -> _Impedance:
        """Return the resistance at every frequency; see `Load.impedance`."""
        return self.network.impedance(frequency_hz)

    @property
    def network(self) -> Network:
        """The resistor alone."""
        return Network(self.resistance_ohm, np.empty(0), np.empty(0))


@dataclass(frozen=True, kw_only=True)
class SeriesRC(Load):
    """A resistor in series with a resistor beside a capacitor.

    ``v = i Rs + v_p``, ``dv_p/dt = i/Cp - v_p/(Rp Cp)``.

    Parameters
    ----------
    series_ohm
        Rs, body and leads; 1 mΩ to 10 MΩ.
    parallel_ohm
        Rp, beside the capacitor; the same.
    capacitance_nf
        Cp, 1 fF to 1 F.

    Raises
    ------
    SpecError
        For a value out of range.
    """

    series_ohm: Resistance
    parallel_ohm: Resistance
    capacitance_nf: Capacitance

    def impedance(self, frequency_hz: ArrayLike) -> _Impedance:
        """Return ``Rs + Rp / (1 + jω Rp Cp)``; see `Load.impedance`."""
        return self.network.impedance(frequency_hz)

    @property
    def network(self) -> Network:
        """One branch."""
        tau_s = self.parallel_ohm * self.capacitance_nf * 1e-9
        return Network(
            self.series_ohm, np.array([self.parallel_ohm]), np.array([tau_s])
        )


@dataclass(frozen=True, kw_only=True)
class ConstantPhase(Load):
    """A resistor in series with a resistor beside a constant-phase element.

    The element's impedance is ``1 / (Q (jω)^α)``. With its resistor it is Cole
    and Cole's relaxation, whose response to a step of current is ``I Rp (1 -
    E_α(-(t/τ)^α))``, E_α the Mittag-Leffler function and ``τ = (Rp Q)^(1/α)``
    (Holm 2020, J Electr Bioimpedance 11:101).

    It is simulated as a distribution of relaxation times: branches whose time
    constants lie on a logarithmic grid (and at τ), with weights fitted by
    non-negative least squares to the exact impedance. `error` says how well.

    Parameters
    ----------
    series_ohm
        Rs, body and leads; 1 mΩ to 10 MΩ.
    parallel_ohm
        Rp, beside the element; the same.
    q
        Q in S·s^α, 1e-15 to 1; with `alpha` 1 this is a capacitance in farad.
    alpha
        α, 0.2 to 1.

    Raises
    ------
    SpecError
        For a value out of range.
    """

    series_ohm: Resistance
    parallel_ohm: Resistance
    q: Annotated[float, Range(ge=1e-15, le=1, unit="S s^alpha")]
    alpha: Annotated[float, Range(ge=0.2, le=1)]

    @property
    def time_constant_s(self) -> float:
        """τ, the inverse of the angular frequency of the relaxation."""
        return math.exp(math.log(self.parallel_ohm * self.q) / self.alpha)

    def impedance(self, frequency_hz: ArrayLike) -> _Impedance:
        """Return ``Rs + Rp / (1 + Rp Q (jω)^α)``; see `Load.impedance`."""
        admittance = 1 / self.parallel_ohm + self.q * _s(frequency_hz) ** self.alpha
        total: _Impedance = self.series_ohm + 1 / admittance
        return total

    @cached_property
    def network(self) -> Network:
        """The branches that stand for the element."""
        from scipy.optimize import nnls

        low, high = np.log10(BAND_HZ)
        edges = low - _DECADES_BEYOND, high + _DECADES_BEYOND
        n = round(_PER_DECADE * (edges[1] - edges[0])) + 1
        tau = 1 / (2 * math.pi * np.logspace(*edges, n))
        if self.time_constant_s >= _FASTEST_S:
            tau = np.append(tau, self.time_constant_s)
        frequency = np.logspace(low, high, 4 * n)
        exact = self.impedance(frequency)
        basis = 1 / (1 + _s(frequency)[:, np.newaxis] * tau)
        # all times faster than the band are one resistor
        basis = np.hstack([basis, np.ones((len(frequency), 1))])
        basis /= np.abs(exact)[:, np.newaxis]
        target = (exact - self.series_ohm) / np.abs(exact)
        weights, _ = nnls(
            np.vstack([basis.real, basis.imag]),
            np.concatenate([target.real, target.imag]),
            maxiter=100 * n,  # three times as many, the default, are not enough
        )
        used = np.flatnonzero(weights[:-1] > 1e-12 * self.parallel_ohm)
        return Network(
            self.series_ohm + float(weights[-1]), weights[:-1][used], tau[used]
        )

    @cached_property
    def error(self) -> float:
        """Largest relative error of the simulated impedance, 1 Hz to 1 MHz.

        Of a current whose spectrum lies in that band the r.m.s. error of the
        voltage is at most this part of its r.m.s. value (Parseval).
        """
        frequency = np.geomspace(*BAND_HZ, 2000)
        exact = self.impedance(frequency)
        return float(np.abs(self.network.impedance(frequency) / exact - 1).max())


def _s(frequency_hz: ArrayLike) -> _Impedance:
    try:
        frequency = np.asarray(frequency_hz)
    except ValueError:  # rows of different lengths
        frequency = np.asarray(None)
    if frequency.dtype.kind not in "iuf":
        raise SpecError("frequency_hz", frequency_hz, "must be real numbers, in Hz")
    if not np.all((frequency >= 0) & (frequency <= _HIGHEST_HZ)):  # NaN neither
        words = f"must be at least 0 and at most {_HIGHEST_HZ:g} Hz"
        raise SpecError("frequency_hz", frequency_hz, words)
    s: _Impedance = np.asarray(2j * math.pi * frequency, dtype=np.complex128)
    return s
