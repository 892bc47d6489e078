"""The measured full scale, from a file and into one."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmes_wave.cli._options import UsageError
from nmes_wave.cli._screen import note
from nmes_wave.errors import FormatError, SpecError
from nmes_wave.files import file_path

if TYPE_CHECKING:
    from nmes_wave.calibration import Calibration
    from nmes_wave.plan import Plan
    from nmes_wave.sinks import PullSink, Sink
    from nmes_wave.sinks.loopback import LoopbackSink
    from nmes_wave.verification import Verification

CalibrationFile = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="FILE",
        help="The measured full scale, instead of --full-scale-ma: a file that "
        "[bold]nmes-wave verify --write-calibration[/bold] wrote.",
        show_default=False,
    ),
]


def calibrated(
    path: Path | None,
    full_scale_ma: list[float] | None,
    n_channels: int,
    sample_rate_hz: float,
    device: str | None = None,
) -> Calibration | None:
    """Return the calibration of that file, and say of when it is; None without.

    Parameters
    ----------
    path
        Of the file, None: none was given.
    full_scale_ma
        Of the command line, which must not say it too.
    n_channels, sample_rate_hz
        Of the plan.
    device
        The hardware that it will drive; None: none.

    Raises
    ------
    UsageError
        If it is not for these channels or not for this device.
    FormatError
        If it cannot be read.
    """
    if path is None:
        return None
    from nmes_wave.calibration import Calibration

    if full_scale_ma:
        raise UsageError("--calibration and --full-scale-ma: give one of them")
    try:
        read = Calibration.load(path)
    except SpecError as error:
        raise FormatError(f"{path}: {error}") from None
    if len(read.full_scale_ma) != n_channels:
        raise UsageError(
            f"{path}: calibrates {_channels(len(read.full_scale_ma))}, the protocol "
            f"has {_channels(n_channels)}: calibrate with it (nmes-wave verify "
            "--write-calibration), or give --full-scale-ma"
        )
    if device is not None and read.device != device:
        raise UsageError(
            f"{path}: was measured on {read.device!r}, this is {device!r}: calibrate "
            "this one (nmes-wave verify --write-calibration), or, if it is the same "
            "device under a new name, change `device` in the file"
        )
    scales = ", ".join(f"{x:g}" for x in dict.fromkeys(read.full_scale_ma))
    note(
        f"calibration of {read.date}: {read.device}, full scale {scales} mA into "
        f"{read.load_ohm:g} Ω"
    )
    if read.sample_rate_hz != sample_rate_hz:
        note(
            f"caution: it was measured at {read.sample_rate_hz:g} Hz, this is "
            f"{sample_rate_hz:g} Hz"
        )
    return read


def driven(sink: Sink | PullSink, name: str, device: str | int | None) -> str | None:
    """Return what a sink would drive, as a calibration names it; None: nothing."""
    if not sink.hardware:
        return None
    from nmes_wave.sinks.audio import AudioSink, choose_device

    return choose_device(device).full_name if isinstance(sink, AudioSink) else name


@dataclass(frozen=True)
class Scale:
    """How a recording becomes a current; `ma_per_unit` None: nobody knows."""

    sense_ohm: float | None
    input_v_per_unit: float | None

    @property
    def ma_per_unit(self) -> float | None:
        """Milliamperes per unit of the input's full scale."""
        if self.sense_ohm is None or self.input_v_per_unit is None:
            return None
        return 1e3 * self.input_v_per_unit / self.sense_ohm


def sensed(sense_ohm: float | None, input_v_per_unit: float | None) -> Scale:
    """Return what the options say of the recording's units."""
    for option, value in (
        ("--sense-ohm", sense_ohm),
        ("--input-v-per-unit", input_v_per_unit),
    ):
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{option} {value:g}: must be above 0")
    if (sense_ohm is None) != (input_v_per_unit is None):
        raise UsageError(
            "--sense-ohm and --input-v-per-unit: a current needs both of them"
        )
    return Scale(sense_ohm, input_v_per_unit)


def check_calibrating(scale: Scale, load_ohm: float | None, path: Path) -> None:
    """Refuse a calibration that could not be written after all."""
    if scale.ma_per_unit is None or load_ohm is None:
        raise UsageError(
            "--write-calibration needs --sense-ohm, --input-v-per-unit and --load-ohm, "
            "as you measured them"
        )
    assert scale.sense_ohm is not None
    if not scale.sense_ohm <= load_ohm < float("inf"):
        raise UsageError(
            f"--load-ohm {load_ohm:g}: is the whole load, at least --sense-ohm "
            f"{scale.sense_ohm:g}"
        )
    if not file_path(path).absolute().parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}")


def save_calibration(
    plan: Plan,
    sink: LoopbackSink,
    verification: Verification,
    scale: Scale,
    load_ohm: float | None,
    remark: str,
    path: Path,
) -> None:
    """Write what a loopback found of its device."""
    from nmes_wave.calibration import Calibration

    assert scale.ma_per_unit is not None
    assert load_ohm is not None
    found_ma = [channel.gain * scale.ma_per_unit for channel in verification.channels]
    Calibration(
        # a resistor is not known to more digits
        full_scale_ma=tuple(float(f"{ma:.6g}") for ma in found_ma),
        load_ohm=load_ohm,
        device=sink.device_name,
        date=datetime.datetime.now().astimezone().date(),
        sample_rate_hz=plan.output.sample_rate_hz,
        sense_ohm=scale.sense_ohm,
        input_v_per_unit=scale.input_v_per_unit,
        note=remark,
    ).save(path)


def _channels(n: int) -> str:
    return f"{n} channel{'s' * (n != 1)}"
