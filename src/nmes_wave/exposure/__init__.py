"""What a protocol delivers at worst, in closed form; nothing is rendered.

The quantities are those of the described waveforms at full intensity, not those
of one output's samples. What an output adds to them: samples are averages over
a frame, which lowers an r.m.s. and never lifts it; with ``edges="area"`` a
recovery phase begins up to one frame later, so that one second can hold up to
one frame more of one event, ``amplitude² × frame`` in a sum of squares (0.05 %
of the r.m.s. of a train of 2 × 300 µs at 35 Hz and 48 kHz). `total_current`
counts that frame, see there. ``edges="snap"`` moves edges by up to a frame, as
``plan.delivery`` states, and is not counted.
"""

from nmes_wave.exposure.channel import ChannelExposure
from nmes_wave.exposure.total import TotalCurrent, total_current

__all__ = ["ChannelExposure", "TotalCurrent", "total_current"]
