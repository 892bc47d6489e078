"""``plot``: a protocol as a picture."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from nmes_wave.cli._options import (
    AcceptAssumptions,
    AmplitudeMa,
    Contractions,
    Dtype,
    Edges,
    Fields,
    FullScaleMa,
    Json,
    LimitSet,
    Name,
    SampleRateHz,
    grid,
    limit_set,
    stimulus,
)
from nmes_wave.cli._screen import emit_facts, emit_json, progress
from nmes_wave.cli._target import Target, whole
from nmes_wave.cli.render import scale_words
from nmes_wave.errors import FormatError

if TYPE_CHECKING:
    from nmes_wave.plan import Plan

_SUFFIXES = (".png", ".svg", ".pdf")


def plot(
    name: Name,
    output: Target,
    amplitude_ma: AmplitudeMa = None,
    accept_assumptions: AcceptAssumptions = False,
    contractions: Contractions = None,
    fields: Fields = None,
    sample_rate_hz: SampleRateHz = 48000.0,
    dtype: Dtype = "int24",
    full_scale_ma: FullScaleMa = None,
    edges: Edges = "area",
    limits: LimitSet = None,
    json: Json = False,
) -> None:
    """Draw the session, one on-period and one pulse: PNG, SVG or PDF, by suffix."""
    from nmes_wave.plan import build_plan

    protocol = stimulus(name, amplitude_ma, accept_assumptions, contractions, fields)
    settings = grid(protocol, sample_rate_hz, dtype, full_scale_ma, edges)
    plan = build_plan(protocol, settings, limit_set(limits))
    draw(plan, output)
    if json:
        emit_json({"file": str(output), "full_scale_ma": settings.full_scale_ma})
        return
    scale = scale_words(plan, chosen=not full_scale_ma)
    emit_facts({"file": str(output), "full scale": scale})


def draw(plan: Plan, path: Path) -> None:
    """Write the picture of a plan."""
    if path.suffix.lower() not in _SUFFIXES:
        given = f"unknown suffix {path.suffix}" if path.suffix else "no suffix"
        raise FormatError(f"{path}: {given}; a picture is {', '.join(_SUFFIXES)}")
    # Matplotlib has no measure of how far it is: two steps, about as long.
    with whole(path) as place, progress("drawing", 2) as done:
        from nmes_wave.plot import plot_plan

        figure = plot_plan(plan)
        done(1)
        with warnings.catch_warnings():
            # a name in letters that the font has not is drawn as boxes
            warnings.filterwarnings("ignore", "Glyph", UserWarning)
            figure.savefig(place)
        done(2)
