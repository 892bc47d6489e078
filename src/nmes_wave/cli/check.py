"""``check``: a protocol against the limits."""

from __future__ import annotations

from typing import Annotated

import typer

from nmes_wave.cli._options import (
    AcceptAssumptions,
    AmplitudeMa,
    Contractions,
    ElectrodeCm2,
    Fields,
    Json,
    LimitSet,
    Name,
    limit_set,
    load_preset,
    stimulus,
    with_electrodes,
)
from nmes_wave.cli._screen import console, emit_json, printable

#: Verdicts stand at the begin of a line.
_STYLES = {"PASS": "green", "CAUTION": "bold yellow", "FAIL": "bold red"}


def check(
    name: Name,
    amplitude_ma: AmplitudeMa = None,
    accept_assumptions: AcceptAssumptions = False,
    contractions: Contractions = None,
    fields: Fields = None,
    electrode_cm2: ElectrodeCm2 = None,
    limits: LimitSet = None,
    ranges: Annotated[
        str | None,
        typer.Option(
            metavar="PRESET",
            help="Published ranges to hold it against too, such as "
            "acl-nussbaum-2017: a caution outside them.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Hold a protocol against the limits, rule by rule; exit code 1 if one fails."""
    from nmes_wave.limits import check

    protocol = stimulus(name, amplitude_ma, accept_assumptions, contractions, fields)
    protocol = with_electrodes(protocol, electrode_cm2)
    published = None if ranges is None else load_preset(ranges)
    report = check(protocol, limit_set(limits), published)
    if json:
        emit_json(report.to_dict())
    else:
        from rich.text import Text

        table = Text(printable(str(report)))
        for verdict, style in _STYLES.items():
            table.highlight_regex(rf"(?m)^{verdict}\b", style)
        console().print(table, soft_wrap=True)
    if not report.passed:
        raise typer.Exit(1)
