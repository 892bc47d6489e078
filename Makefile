# The same commands that CI runs. PYTHON is the interpreter to use.
PYTHON ?= python
MINUTES ?= 5

.PHONY: install test lint bench docs demo package soak checked clean

install:        ## editable, with everything a developer needs
	$(PYTHON) -m pip install -e ".[dev]"

test:           ## unit, property and audio-server tests
	$(PYTHON) -m pytest

lint:           ## format, lint, types, stub of the compiled module
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(PYTHON) -m mypy.stubtest nmes_wave._core --allowlist stubtest-allowlist.txt

bench:          ## measurements; ratios against the machine's own limits
	$(PYTHON) -m pytest benchmarks --benchmark-enable -s

docs:           ## HTML in docs/_build, warnings are errors
	$(PYTHON) -m sphinx -W --keep-going -q docs docs/_build

demo:
	$(PYTHON) -m nmes_wave.cli demo

package:        ## sdist and wheel in dist/
	$(PYTHON) -m build

soak:           ## a session on JACK for MINUTES, its record against the plan
	$(PYTHON) tests/audio/soak.py --minutes $(MINUTES)

checked:        ## kernel with bounds checks and sanitizers, then its tests
	rm -f src/nmes_wave/_core*.so
	NMES_WAVE_CHECKED=address $(PYTHON) setup.py -q build_ext --inplace --force
	LD_PRELOAD=$$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 \
	  $(PYTHON) -m pytest tests/test_kernel_properties.py tests/test_session.py tests/live
	NMES_WAVE_CHECKED=thread $(PYTHON) setup.py -q build_ext --inplace --force
	LD_PRELOAD=$$(gcc -print-file-name=libtsan.so) $(PYTHON) tests/races.py
	rm -f src/nmes_wave/_core*.so
	$(PYTHON) setup.py -q build_ext --inplace --force

clean:          ## a core left by another build would win over a new one
	rm -rf build dist docs/_build src/*.egg-info src/nmes_wave/_core.c
	rm -f src/nmes_wave/_core*.so src/nmes_wave/_core*.pyd
