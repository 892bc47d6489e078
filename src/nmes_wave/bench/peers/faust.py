"""Faust, compiled at run time by DawDreamer; a slider of its own for each voice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dawdreamer

DISTRIBUTION = "dawdreamer"
#: 512 was as fast as 128 and 2048, or faster.
BLOCK_FRAMES = 512

_PROGRAM = """
import("stdfaust.lib");
seconds = ba.time / ma.SR;
left = {seconds} - seconds;
ramp = max(0, min(1, min(seconds / {ramp_up_s}, left / {ramp_down_s})));
voice(i) = shape * level * ramp with {{
  rate = hslider("rate %i", {rate_hz}, 1, 200, 0.01);
  level = hslider("level %i", {level}, 0, 1, 0.001);
  p = os.phasor(1, rate) / rate;
  {shape}
}};
process = par(i, {channels}, voice(i));
"""
_PULSE = """
  width = hslider("width %i", {phase_width_us}, 10, 1000, 1) * 1e-6;
  shape = (p < width) - ((p >= width) & (p < 2 * width));
"""
_BURST = """
  carrier = hslider("carrier %i", {carrier_hz}, 100, 10000, 1);
  shape = os.osc(carrier) * (p < {cycles} / carrier);
"""


def voices(work: dict[str, Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what renders, and what returns the array."""
    shape = (_BURST if work["carrier_hz"] else _PULSE).format(**work)
    engine = dawdreamer.RenderEngine(work["sample_rate_hz"], BLOCK_FRAMES)
    processor = engine.make_faust_processor("voices")
    processor.set_dsp_string(_PROGRAM.format(**{**work, "shape": shape}))
    engine.load_graph([(processor, [])])
    return lambda: engine.render(work["seconds"]), lambda: engine.get_audio().T
