"""``indications``: the policy that the catalogue starts from, and who touches it."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer

from nmes_wave.cli._options import Json, load_preset
from nmes_wave.cli._screen import console, emit_json


def indications(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A preset: only what its population touches.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Print the indications, exclusions and codes of the policy, with its words.

    It informs; it decides nothing.
    """
    if name is not None:
        _print_touched(name, json)
        return
    from nmes_wave import presets

    policy = presets.policy()
    if json:
        emit_json(dataclasses.asdict(policy))
        return
    screen = console()
    _print_lines(screen, str(policy).splitlines())
    _print_lines(screen, ["", "Presets whose populations touch these words"])
    for preset in policy.presets:
        sides = policy.touched(preset)
        for_, against = (
            ", ".join(touch.key for touch in side) or "–" for side in sides
        )
        _print_lines(screen, [f"  {preset}: for {for_}; against {against}"])


def _print_touched(name: str, json: bool) -> None:
    preset = load_preset(name)
    sides = {"indications": preset.indications, "exclusions": preset.exclusions}
    if json:
        plain = {k: [dataclasses.asdict(t) for t in v] for k, v in sides.items()}
        emit_json({"name": preset.name, **plain})
        return
    screen = console()
    _print_lines(screen, [f"{preset.name}: {preset.population}"])
    for heading, touches in sides.items():
        lines = [f"  {touch}" for touch in touches] or ["  none of them is touched"]
        _print_lines(screen, ["", heading, *lines])
    _print_lines(screen, ["", "This informs; it decides nothing."])


def _print_lines(screen: Any, lines: list[str]) -> None:
    """Print lines, each as far in as it begins, when it goes on too."""
    from rich.padding import Padding
    from rich.text import Text

    for line in lines:
        text = line.lstrip()
        if not text:
            screen.print()
            continue
        indent = len(line) - len(text)
        style = "bold" if not indent and len(text) < 60 else ""
        screen.print(Padding(Text(text, style), (0, 0, 0, indent), expand=False))
