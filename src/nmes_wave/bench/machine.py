"""What it ran on, and what that can do at most."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A multiply-add of NumPy is two passes: over parts that stay in the cache.
TILE_BYTES = 131_072


def describe() -> dict[str, Any]:
    """Return processor, cores, system and versions."""
    return {
        "processor": _processor(),
        "cores": _cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "nmes_wave": version("nmes-wave"),
    }


def load() -> float | None:
    """Return the load average of the last minute; None where there is none."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def limits(
    buffer: NDArray[Any], *, is_dense: bool, times: int = 1
) -> dict[str, Callable[[], None]]:
    """Return what the machine does to a buffer at its own speed.

    Parameters
    ----------
    buffer
        C-contiguous; it should have been written to.
    is_dense
        A multiply-add over it, by NumPy; else `ndarray.fill` and C's `memset`.
    times
        In a row, for a block that is rendered into so often.
    """
    if is_dense:
        flat = buffer.reshape(-1)
        size = TILE_BYTES // buffer.itemsize
        tiles = [flat[at : at + size] for at in range(0, len(flat), size)]

        def multiply_add() -> None:
            for tile in tiles:
                np.multiply(tile, 1, out=tile)
                np.add(tile, 1, out=tile)

        return {"multiply-add": lambda: repeat(multiply_add, times)}

    # Through ctypes, which costs a microsecond for each call.
    address, n_bytes = buffer.ctypes.data, buffer.nbytes
    return {
        "fill": lambda: repeat(lambda: buffer.fill(0), times),
        "memset": lambda: repeat(lambda: ctypes.memset(address, 0, n_bytes), times),
    }


def repeat(function: Callable[[], Any], times: int) -> None:
    """Call a function so often."""
    for _ in range(times):
        function()


def _processor() -> str:
    for line in _lines(Path("/proc/cpuinfo")):
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
