"""The named sets of limits: what differs from the defaults, with its source.

Only what has been read, in the source or in a document that quotes it, stands
here. What is merely remembered (r.m.s. limits for other frequencies, 100 nA of
net current for implants) does not: a limit without a source is a guess that
looks like knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nmes_wave.report import RULES


class Quoted(NamedTuple):
    """A limit and where it comes from."""

    limit: float | None
    source: str = ""


_NOTHING = dict.fromkeys(RULES, Quoted(None))
_OWN_CHOICE = "a choice of this project, no source has one: a session caps by it"
_CERTIFIED = "a certified device limits itself so, RehaStim2 manual 2.5c, p. 9"

#: By name of the set, then of the rule; a rule that is left out has its default.
SETS: Mapping[str, Mapping[str, Quoted]] = {
    "default": {},
    "powered-muscle-stimulator": _NOTHING
    | {
        # A session takes its caps from these two: without them full scale alone
        # would bound an amplitude, and nothing the total.
        "amplitude_ma": Quoted(100.0, _OWN_CHOICE),
        "total_current_ma": Quoted(200.0, _OWN_CHOICE),
        "rms_ma": Quoted(50.0, "IEC 60601-2-10, as two makers quote it"),
        "rms_density_ma_cm2": Quoted(
            2.0, "a notice of IEC 60601-2-10, which makers read as r.m.s."
        ),
        "power_density_w_cm2": Quoted(
            0.25, "FDA 1999, Powered Muscle Stimulator 510(k)s, note 6"
        ),
    },
    "certified-device": {
        "rms_density_ma_cm2": Quoted(2.0, _CERTIFIED),
        "power_density_w_cm2": Quoted(0.1, _CERTIFIED),
    },
    "implant": {
        "net_dc_ua": Quoted(
            0.025,
            "the cochlear-implant industry's 25 nA, as Sit & Sarpeshkar 2007 quote it",
        ),
    },
    "unlimited": _NOTHING,
}
