"""What the guidance asks for, and what a report is not."""

from __future__ import annotations

#: The guidance whose tables these are.
GUIDANCE = (
    "FDA, Guidance Document for Powered Muscle Stimulator 510(k)s, June 9, 1999, "
    "Attachment II"
)
#: What a report is not, in the order in which it says so.
STATEMENTS = (
    "Computed from the description of a stimulus. Not a measurement of a device: "
    "nothing here was measured.",
    "Not a submission, and no claim of conformity with the guidance or a standard.",
    "nmes_wave is engineering and research software for test loads and electrodes, "
    "not a medical device.",
    "Maximum values are those of this protocol at intensity 1, which the software "
    "does not exceed, into a resistor, from a current source of the compliance "
    "voltage that was given. What else an output stage does is not in them.",
)
NOTES = (
    "Note 2: leakage current at most 100 µA in normal and 500 µA in single fault "
    "condition.",
    "Note 5: pulse width and frequency as a full range, or all discrete settings. "
    "Each mode here is one setting.",
    "Note 6: densities use the conductive area of the smallest electrode provided or "
    "recommended; sample calculations are shown. Maximum power density is at the "
    "maximum duty cycle, averaged over an output duration of one second, and should "
    'be < 0.25 W/cm² "to reduce the risk of thermal burns".',
    "Note 7: powered muscle stimulators typically stimulate for at least one second "
    "and give at least one second of relaxation. Devices that run continuously, or "
    "above the physiological frequency range, may suit only relaxation of muscle "
    "spasm.",
    "Two drafts of April 5, 2010 (documents 1578 and 1579) would supersede the "
    "guidance of 1999 when final; this report does not follow them.",
)
