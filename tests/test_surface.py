"""The public names, and what importing the package costs."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nmes_wave as nw

REFERENCE = Path(__file__).parent.parent / "docs" / "reference.md"
HEAVY = ["scipy", "matplotlib", "sounddevice", "soundfile", "typer", "rich"]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )


def documented() -> list[str]:
    text = REFERENCE.read_text("utf-8")
    kinds = "auto(?:class|function|exception|module|data)|py:data"
    found = re.findall(rf"^\.\. (?:{kinds}):: nmes_wave\.(\w+)(?:\(\))?$", text, re.M)
    # not a public name: the module whose docstring draws the tree of exceptions
    return sorted({*found} - {"errors"})


def test_all_equals_the_documented_names():
    assert documented() == sorted(nw.__all__)
    assert nw.__all__ == sorted(set(nw.__all__))


def test_dir_lists_the_public_names():
    assert dir(nw) == sorted(nw.__all__)


@pytest.mark.parametrize("name", sorted({*nw.__all__} - {"__version__"}))
def test_a_public_name_is_documented_down_to_its_methods(name):
    thing = getattr(nw, name)
    assert (thing.__doc__ or "").strip()
    if not inspect.isclass(thing):
        return
    for attribute, member in vars(thing).items():
        if attribute.startswith("_"):
            continue
        if inspect.isroutine(member) or isinstance(member, (property, classmethod)):
            assert (member.__doc__ or "").strip(), f"{name}.{attribute}"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Pulze'"):
        _ = nw.Pulze


def test_the_version_is_that_of_the_installed_package():
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", nw.__version__)


def test_importing_the_package_imports_nothing_heavy():
    code = f"import sys, nmes_wave; print([m for m in {HEAVY} if m in sys.modules])"
    done = run(code)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_planning_and_rendering_import_nothing_heavy(tmp_path):
    code = f"""
import sys
import nmes_wave as nw
preset = nw.presets.load("tka-stevens-lapsley-2012")
protocol = preset.protocol(amplitude_ma=40.0, contractions=1)
output = nw.Output(sample_rate_hz=48000, full_scale_ma=100)
plan = nw.build_plan(protocol, output)
with nw.Session(plan, sink=nw.MemorySink()) as session:
    session.start(intensity=1.0)
    session.wait()
print(session.status.pulses, [m for m in {HEAVY} if m in sys.modules])
"""
    done = run(code)
    assert done.stderr == ""
    assert done.stdout.split(maxsplit=1)[1].strip() == "[]"


def test_without_the_compiled_kernel_the_import_says_what_to_do():
    code = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "nmes_wave._core":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
try:
    import nmes_wave
except ImportError as error:
    print(error)
"""
    done = run(code)
    assert done.stderr == ""
    assert "the compiled kernel nmes_wave._core is missing" in done.stdout
    assert "pip install ." in done.stdout
    assert "no slower substitute" in done.stdout
