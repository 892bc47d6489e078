"""``check``: a protocol against the limits."""

from __future__ import annotations

import json as json_format

import typer

from nmes_wave.cli._options import (
    AcceptAssumptions,
    AmplitudeMa,
    Contractions,
    Json,
    LimitSet,
    Name,
    limit_set,
    stimulus,
)
from nmes_wave.cli._screen import emit_json

_COLOURS = {
    "PASS": "green",
    "CAUTION": "yellow",
    "FAIL": "bold red",
    "NOT_EVALUATED": "dim",
}


def check(
    name: Name,
    amplitude_ma: AmplitudeMa = None,
    accept_assumptions: AcceptAssumptions = False,
    contractions: Contractions = None,
    limits: LimitSet = None,
    json: Json = False,
) -> None:
    """Compare a protocol with the limits, rule by rule; exit code 1 if one fails."""
    from nmes_wave.limits import check

    protocol = stimulus(name, amplitude_ma, accept_assumptions, contractions)
    report = check(protocol, limit_set(limits))
    if json:
        emit_json(json_format.loads(report.to_json()))
    else:
        pass
    if not report.passed:
        raise typer.Exit(1)
