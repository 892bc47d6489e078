"""Build the one compiled module; everything else is in pyproject.toml.

``NMES_WAVE_CHECKED=address`` builds it with bounds checks and the sanitizers of
addresses and undefined behaviour, ``NMES_WAVE_CHECKED=thread`` with that of races.
"""

import os
import sys
import sysconfig

from Cython.Build import cythonize
from setuptools import Extension, setup

SANITIZERS = {"address": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"}
CHECKED = os.environ.get("NMES_WAVE_CHECKED", "")
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
ABI3 = sys.implementation.name == "cpython" and not FREE_THREADED and not CHECKED

if sys.platform == "win32":
    cflags, ldflags = ["/O2", "/fp:precise"], []
elif CHECKED:
    sanitizer = SANITIZERS[CHECKED]
    cflags = ["-O1", "-g", "-ffp-contract=off", sanitizer, "-fno-sanitize-recover"]
    ldflags = [sanitizer]
else:
    # A fused multiply-add in one place and not in another would change codes.
    cflags, ldflags = ["-O3", "-g0", "-ffp-contract=off"], []

# A core left by the other kind of build would win over this one by its suffix.
setup(
    ext_modules=cythonize(
        [
            Extension(
                "nmes_wave._core",
                ["src/nmes_wave/_core.pyx"],
                include_dirs=["src/nmes_wave"],
                depends=["src/nmes_wave/_portable.h"],
                define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
                py_limited_api=ABI3,
                extra_compile_args=cflags,
                extra_link_args=ldflags,
            )
        ],
        include_path=["src"],
        compiler_directives={
            "language_level": "3",
            "boundscheck": bool(CHECKED),
            "initializedcheck": bool(CHECKED),
            "wraparound": False,
            "cdivision": True,
        },
    ),
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {},
)
