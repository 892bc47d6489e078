"""A recording held against its plan.

`verify` places a recording in its plan, follows the clock between the two, and
states the errors event by event. `Tolerance` says what passes.
"""

from nmes_wave.verification.result import ChannelVerification, Jump, Verification
from nmes_wave.verification.tolerance import Tolerance
from nmes_wave.verification.verifying import verify

__all__ = ["ChannelVerification", "Jump", "Tolerance", "Verification", "verify"]
