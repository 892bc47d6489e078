"""``check``: a protocol against the limits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

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
from nmes_wave.cli._screen import console, emit_json

if TYPE_CHECKING:
    from nmes_wave.limits import Finding, Report

_COLOURS = {
    "PASS": "green",
    "CAUTION": "yellow",
    "FAIL": "bold red",
    "NOT_EVALUATED": "dim",
}
#: From here on there is room for the sources of the limits.
_WIDE_COLUMNS = 100


def check(
    name: Name,
    amplitude_ma: AmplitudeMa = None,
    accept_assumptions: AcceptAssumptions = False,
    contractions: Contractions = None,
    limits: LimitSet = None,
    json: Json = False,
) -> None:
    """Hold a protocol against the limits, rule by rule; exit code 1 if one fails."""
    from nmes_wave.limits import check

    protocol = stimulus(name, amplitude_ma, accept_assumptions, contractions)
    report = check(protocol, limit_set(limits))
    if json:
        emit_json(report.to_dict())
    else:
        _print(report)
    if not report.passed:
        raise typer.Exit(1)


def _print(report: Report) -> None:
    from rich.table import Table
    from rich.text import Text

    screen = console()
    wide = screen.width >= _WIDE_COLUMNS
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("verdict", "rule"):
        table.add_column(heading, no_wrap=True)
    table.add_column("channel")
    for heading in ("value", "limit"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("why this limit, or what is missing" if wide else "")
    for alike, names in _grouped(report).items():
        value, limit = alike.value, alike.limit
        source = alike.source if wide and limit is not None else ""
        table.add_row(
            Text(alike.verdict.replace("_", " "), style=_COLOURS[alike.verdict]),
            alike.rule,
            Text(names[0] + f" and {len(names) - 1} more" * (len(names) > 1)),
            "–" if value is None else f"{value:.4g}",
            "–" if limit is None else f"{limit:g}",
            alike.unit,
            Text("; ".join(filter(None, (source, alike.note)))),
        )
    screen.print(table)
    verdicts = [finding.verdict for finding in report.findings]
    words = [
        f"{verdicts.count(verdict)} {verdict.lower().replace('_', ' ')}"
        for verdict in _COLOURS
        if verdict in verdicts
    ]
    passed = "[green]passed[/]" if report.passed else "[bold red]FAILED[/]"
    screen.print(f"\n{passed}: {', '.join(words)}")


def _grouped(report: Report) -> dict[Finding, list[str]]:
    """Return what is found, and the channels that it is found of."""
    groups: dict[Finding, list[str]] = {}
    for finding in report.findings:
        name = "all" if finding.channel is None else finding.channel
        groups.setdefault(replace(finding, channel=None), []).append(name)
    return groups
