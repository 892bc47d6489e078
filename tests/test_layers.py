"""Each module imports only from the layers below it."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

import nmes_wave

ROOT = Path(nmes_wave.__file__).parent

# Lowest first. A package that is not listed module by module is one layer, and
# its modules may import one another. "" is nmes_wave/__init__.py: what stands
# below it takes names from where they are made, never from the package.
LAYERS = [
    "errors",
    "files",
    "spec._fields",
    "spec._file",
    "spec.event",
    "spec.train",
    "spec.protocol",
    "spec",
    "output",
    "calibration",
    "exposure",
    "ranges",
    "report",
    "limit_sets",
    "limits",
    "compiling",
    "grid",
    "lobes",
    "delivery_table",
    "delivery",
    "_core",
    "plan",
    "loads",
    "output_chain",
    "exponentials",
    "current_source",
    "simulation",
    "verification",
    "recordings",
    "measuring",
    "faults",
    "record",
    "dask",
    "_reference",
    "presets",
    "sinks",
    "status",
    "pump",
    "stream",
    "session",
    "plot",
    "device_report",
    "bench",
    "",
    "cli",
]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
COMPILED = {"_core"}


def layer(module: str) -> int:
    name = module
    while name not in LAYERS:
        name = name.rpartition(".")[0]
        assert name, f"{module} stands in no layer"
    return LAYERS.index(name)


class Imports(ast.NodeVisitor):
    """Collect what a module imports of the package at run time, at any depth."""

    def __init__(self, module: str, *, is_package: bool) -> None:
        name = f"nmes_wave.{module}".rstrip(".")
        self.package = name if is_package else name.rpartition(".")[0]
        self.found: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in node.orelse:
                self.visit(other)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            self.note(name.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        source = "." * node.level + (node.module or "")
        source = resolve_name(source, self.package)
        for name in node.names:
            self.note(f"{source}.{name.name}")

    def note(self, dotted: str) -> None:
        top, _, name = dotted.partition(".")
        if top != "nmes_wave":
            return
        while name and name not in MODULES and name not in COMPILED:
            name = name.rpartition(".")[0]
        self.found.add(name)


def imports_of(module: str, source: str, *, is_package: bool = False) -> set[str]:
    visitor = Imports(module, is_package=is_package)
    visitor.visit(ast.parse(source))
    return visitor.found


def read(module: str) -> set[str]:
    path = MODULES[module]
    is_package = path.name == "__init__.py"
    return imports_of(module, path.read_text("utf-8"), is_package=is_package)


def wrong(module: str, imports: set[str]) -> list[str]:
    """Return the imports from the module's own layer or from above it."""
    own = layer(module)
    inside = {name for name in imports if name.startswith(f"{LAYERS[own]}.")}
    inside |= {LAYERS[own]} if module != LAYERS[own] else set()
    return [
        f"{module or 'nmes_wave'} imports {name or 'nmes_wave'}"
        for name in sorted(imports)
        if layer(name) > own or (layer(name) == own and name not in inside)
    ]


def test_every_layer_exists():
    assert not set(LAYERS) - set(MODULES) - COMPILED


@pytest.mark.parametrize("module", MODULES, ids=lambda name: name or "nmes_wave")
def test_a_module_imports_only_from_below(module):
    assert not wrong(module, read(module))


def test_no_two_modules_import_each_other():
    graph = {module: read(module) - {module} for module in MODULES}
    assert len([*TopologicalSorter(graph).static_order()]) >= len(MODULES)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from nmes_wave.session import Session", ["session"]),
        ("def f():\n    import nmes_wave.session", ["session"]),
        ("from nmes_wave import presets", ["presets"]),
        ("from nmes_wave.spec import _file, Pulse", []),
        ("from .session import Session", ["session"]),
        ("import nmes_wave as nw", ["nmes_wave"]),
        ("from nmes_wave.plan import Plan", ["plan"]),
        ("if TYPE_CHECKING:\n    from nmes_wave.session import Session", []),
        ("import numpy as np", []),
    ],
)
def test_the_check_finds_what_it_should(source, found):
    assert wrong("plan", imports_of("plan", source)) == [
        f"plan imports {name}" for name in found
    ]
