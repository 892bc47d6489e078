"""A plan as a picture at three scales: the session, an on-period, a pulse.

The session is drawn from its description, so that a day costs no more than a
minute; samples are rendered for the few milliseconds that show them.
"""

from __future__ import annotations

from nmes_wave.plot.figure import plot_plan

__all__ = ["plot_plan"]
