from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from made_presets import NAMES, Copy, Load

from nmes_wave.presets import Preset
from nmes_wave.presets.catalogue import Catalogue


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a preset and load it."""
    with as_file(files("nmes_wave.presets").joinpath("data")) as data:
        shutil.copy(data / "assumptions.toml", tmp_path)
    fields = ("authors", "title", "year", "journal", "pages", "doi", "url")
    policy: dict[str, Any] = {"source": "a-2000, all", "clauses": [], "codes": []}
    policy |= dict.fromkeys(("title", "scope", "disclaimer"), "x")
    policy["settings"] = [{"name": "all", "population": "", "presets": ["a"]}]
    references = {"a-2000": dict.fromkeys(fields, "x")}
    for name, table in {"references": references, "policy": policy}.items():
        (tmp_path / f"{name}.toml").write_text(tomli_w.dumps(table), encoding="utf-8")

    def write(data: dict[str, Any]) -> Preset:
        (tmp_path / "a.toml").write_text(tomli_w.dumps(data), encoding="utf-8")
        return Catalogue(tmp_path).load("a")

    return write


TABLES = ("references", "assumptions", "studies", "policy")


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    with as_file(files("nmes_wave.presets").joinpath("data")) as data:
        for name in (*NAMES, *TABLES):
            shutil.copy(data / f"{name}.toml", tmp_path)
    copied = Copy(tmp_path)

    def forget_others(policy: dict[str, Any]) -> None:
        for setting in policy["settings"]:
            setting["presets"] = [n for n in setting["presets"] if n in NAMES]

    copied.edit("policy", forget_others)
    return copied
