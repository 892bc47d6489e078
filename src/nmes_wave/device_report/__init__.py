"""The tables of the FDA's guidance of 1999, for a protocol and an output.

Computed from the description, not measured on a device. `DeviceReport` holds
what they say; `DeviceReport.save` writes it as HTML, Markdown or JSON.
"""

from nmes_wave.device_report.document import DeviceReport
from nmes_wave.device_report.unit import Device

__all__ = ["Device", "DeviceReport"]
