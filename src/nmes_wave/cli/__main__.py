"""``python -m nmes_wave.cli``: the command line without its script."""

from nmes_wave.cli import main

main()
