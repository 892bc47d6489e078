"""What a device drives at full scale, as it was measured, in a file."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nmes_wave.files import file_path
from nmes_wave.output import FullScale
from nmes_wave.spec._fields import Positive_hz, Range, Spec
from nmes_wave.spec._file import load, save

_Positive_ohm = Annotated[float, Range(gt=0, unit="Ω")]
_Positive_v = Annotated[float, Range(gt=0, unit="V")]


@dataclass(frozen=True, kw_only=True)
class Calibration(Spec):
    """The measured full scale of each channel of a device.

    It holds for the device, the load, the rate and the position of every knob
    that it was measured with, and software cannot tell whether they are still
    the same. Engineering and research software for test loads and electrodes,
    not a medical device: this is no certificate.

    Parameters
    ----------
    full_scale_ma
        Peak current in mA at digital full scale, one for each channel.
    load_ohm
        The load that it was measured into, sensing resistor included.
    device
        What was driven, as ``nmes-wave devices`` names it: ``name (host API)``.
    date
        When it was measured.
    sample_rate_hz
        The rate that it was measured at.
    sense_ohm, input_v_per_unit
        Of a loopback: the resistor whose voltage was recorded, and the volts at
        it that stood for full scale of the input, with every divider between
        them. None: measured by other means, which `note` tells.
    note
        Knobs, cables, who, with what.

    Raises
    ------
    SpecError
        For a value out of range, no channel at all, or a sensing resistor that
        is larger than the load which it is a part of.
    """

    full_scale_ma: tuple[FullScale, ...]
    load_ohm: _Positive_ohm
    device: str
    date: datetime.date
    sample_rate_hz: Positive_hz
    sense_ohm: _Positive_ohm | None = None
    input_v_per_unit: _Positive_v | None = None
    note: str = ""

    def _check(self) -> None:
        if not self.full_scale_ma:
            raise self._refuse("full_scale_ma", "must have a value for each channel")
        if not self.device.strip():
            raise self._refuse("device", "must name what was measured")
        if isinstance(self.date, datetime.datetime):
            raise self._refuse("date", "must be a date without a time: 2026-05-01")
        if self.sense_ohm is not None and self.sense_ohm > self.load_ohm:
            raise self._refuse(
                "sense_ohm",
                f"must be at most load_ohm, {self.load_ohm:g} Ω, which it is a part of",
            )

    def save(self, path: str | Path) -> None:
        """Write it to a TOML file, which is replaced when all is written.

        Raises
        ------
        FormatError
            If the file cannot be written.
        """
        save(self, file_path(path))

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read it from a TOML file.

        Raises
        ------
        FormatError
            If it cannot be read, or is of another format.
        SpecError
            For a field that is missing, unknown or out of range; an unknown one
            is told the nearest that there is.
        """
        return load(cls, file_path(path))
