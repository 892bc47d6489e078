"""Programs of other people that tests hold our results against."""

import os
import shutil

import pytest


def program(name: str, package: str) -> str:
    """Return the path of a program; skip without, fail if NMES_WAVE_REQUIRE_TOOLS=1."""
    path = shutil.which(name)
    if path is None:
        reason = f"needs {name} (Debian: apt install {package})"
        if os.environ.get("NMES_WAVE_REQUIRE_TOOLS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path
