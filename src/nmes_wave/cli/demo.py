"""``demo``: the whole way, from a preset to checked samples, without hardware."""

from __future__ import annotations

import time
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from nmes_wave.cli._options import Json, grid, stimulus
from nmes_wave.cli._screen import emit_facts, emit_json, progress
from nmes_wave.cli._target import whole
from nmes_wave.cli.plot import draw
from nmes_wave.plot.captions import event_words, train_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmes_wave.plan import Plan

PRESET = "tka-stevens-lapsley-2012"
#: What the demo delivers, to a file and nothing else.
AMPLITUDE_MA = 40.0
_FILE, _PICTURE = "nmes-wave-demo.wav", "nmes-wave-demo.png"


@dataclass(frozen=True)
class _Checks:
    """What was found in the file."""

    equal: bool  # every sample, to the plan's
    charges: tuple[int, ...]  # sum of the codes of each channel
    pulses: int
    expected_pulses: int

    @property
    def passed(self) -> bool:
        return (
            self.equal and not any(self.charges) and self.pulses == self.expected_pulses
        )


def demo(
    output_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Where picture and file go.")
    ] = Path(),
    json: Json = False,
) -> None:
    """Deliver one contraction of a published protocol to a file, and check it."""
    from nmes_wave.plan import build_plan

    protocol = stimulus(PRESET, AMPLITUDE_MA, False, 1)
    plan = build_plan(protocol, grid(protocol, 48000.0, "int24", None, "area"))
    sound, picture = output_dir / _FILE, output_dir / _PICTURE
    begin = time.perf_counter()
    with whole(sound) as place:
        _deliver(plan, place)
    seconds = time.perf_counter() - begin
    checks = _check(plan, sound)
    draw(plan, picture)
    if json:
        emit_json(
            {
                "passed": checks.passed,
                "equal": checks.equal,
                "charges": checks.charges,
                "pulses": checks.pulses,
                "file": str(sound.resolve()),
                "picture": str(picture.resolve()),
            }
        )
    else:
        _tell(plan, checks, seconds, sound, picture)
    if not checks.passed:
        raise typer.Exit(1)


def _deliver(plan: Plan, path: Path) -> None:
    from nmes_wave.session import Session

    with progress("delivering", plan.n_frames) as done:
        with Session(plan, sink=f"file:{path}") as session:
            session.start(intensity=1.0)
            while not session.wait(0.1):
                done(session.status.frame)


def _check(plan: Plan, path: Path) -> _Checks:
    codes = _read_int24(path)
    asked = plan.pulses()
    return _Checks(
        equal=np.array_equal(codes, plan.render()),
        charges=tuple(int(x) for x in codes.sum(axis=0, dtype=np.int64)),
        pulses=_positive_phases(codes),
        expected_pulses=int((asked["amplitude_ma"] > 0).sum()),
    )


def _read_int24(path: Path) -> NDArray[np.int32]:
    # The standard library's reader: neither our writer nor the one beneath it.
    with wave.open(str(path)) as file:
        data = file.readframes(file.getnframes())
        n_channels = file.getnchannels()
    three = np.frombuffer(data, np.uint8).reshape(-1, 3)
    four = np.zeros((len(three), 4), np.uint8)
    four[:, 1:] = three  # above the low byte, for the sign
    return (four.view("<i4") >> 8).reshape(-1, n_channels).astype(np.int32)


def _positive_phases(codes: NDArray[np.int32]) -> int:
    """Count the runs of positive samples: one for each pulse of this protocol."""
    positive = (codes > 0).astype(np.int8)
    before = np.zeros((1, codes.shape[1]), np.int8)
    return int((np.diff(positive, axis=0, prepend=before) == 1).sum())


def _tell(
    plan: Plan, checks: _Checks, seconds: float, sound: Path, picture: Path
) -> None:
    def yes(passed: bool) -> str:
        return "yes" if passed else "NO"

    (stage,) = plan.protocol.channels[0].stages
    typer.echo(f"One contraction of {PRESET} at {AMPLITUDE_MA:g} mA, to a file.\n")
    emit_facts(
        {
            "stimulus": f"{train_words(stage)}; {event_words(stage.event)}",
            "compiled": f"{plan.n_pulses} pulses, {plan.n_frames:,} frames at "
            f"{plan.output.sample_rate_hz / 1e3:g} kHz, {plan.output.dtype}",
            "delivered": f"{plan.duration_s:g} s of signal in {seconds:.2f} s",
        }
    )
    typer.echo("\nRead back from the file and compared with the plan:\n")
    emit_facts(
        {
            "every sample the same, bit for bit": yes(checks.equal),
            "charge adds up to exactly zero": yes(not any(checks.charges)),
            f"{checks.expected_pulses} pulses": yes(
                checks.pulses == checks.expected_pulses
            )
            + " (and the one at the foot of the ramp, which has no height)",
        }
    )
    typer.echo("\nSee for yourself:\n")
    emit_facts({"picture": str(picture.resolve()), "samples": str(sound.resolve())})
    typer.echo(f"\nNext: nmes-wave presets, or nmes-wave show {PRESET}")
