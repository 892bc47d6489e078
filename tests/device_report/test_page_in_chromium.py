"""The page in a real browser: nothing fails, nothing sticks out."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from tools import program

import nmes_wave as nw

#: Measures the page and leaves what it found in its title.
PROBE = """
<script>
const wide = [], faults = [];
window.addEventListener("error", e => faults.push(String(e.message)));
window.addEventListener("load", () => {
  const root = document.documentElement, right = root.clientWidth + 1;
  const over = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
    && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  for (const e of document.querySelectorAll("main *")) {
    const box = e.getBoundingClientRect();
    if (box.width && (box.right > right || box.left < -1)) wide.push(e.tagName);
  }
  const clashes = [];
  let outside = 0;
  for (const svg of document.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll("text")];
    const boxes = texts.map(t => t.getBoundingClientRect());
    for (const b of boxes) {
      if (b.left < frame.left - 1 || b.right > frame.right + 1
          || b.top < frame.top - 1 || b.bottom > frame.bottom + 1) outside += 1;
    }
    for (let i = 0; i < boxes.length; i++) for (let j = 0; j < i; j++) {
      const words = texts[i].textContent + " / " + texts[j].textContent;
      const lines = texts[i].parentNode === texts[j].parentNode;  // of one heading
      if (!lines && over(boxes[i], boxes[j])) clashes.push(words);
    }
  }
  document.title = JSON.stringify({
    wide, clashes, outside, faults, scroll: root.scrollWidth - root.clientWidth,
    svgs: document.querySelectorAll("svg").length,
  });
});
</script>
"""


@pytest.fixture(scope="module")
def chromium():
    return program("chromium", "chromium")


def run(chromium, folder, *arguments):
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    profile = f"--user-data-dir={folder / 'profile'}"
    return subprocess.run(
        [chromium, *flags, profile, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def page(stage, channel, report, tmp_path_factory):
    """Write a report of two modes with names that never end."""
    burst = stage(nw.Burst(carrier_hz=2500, cycles=25), rate_hz=50, amplitude_ma=30)
    ramps = nw.Envelope(ramp_up_s=2, ramp_down_s=1, start_level=0.25)
    pulse = nw.Pulse(phase_width_us=312.5, interphase_gap_us=100, recovery_ratio=1.5)
    path = tmp_path_factory.mktemp("page") / "page.html"
    report(
        channel(burst, name="<img src=x onerror=alert(1)>" + "x" * 300),
        channel(stage(pulse, envelope=ramps, first_interval_ms=10), name="大腿"),
        name="endless" * 40,
    ).save(path)
    return path


def test_it_renders_without_faults_and_nothing_sticks_out(chromium, page, tmp_path):
    text = page.read_text("utf-8")
    probe = tmp_path / "probe.html"
    probe.write_text(text.replace("<head>", f"<head>{PROBE}", 1), "utf-8")
    for width in (1280, 600):
        size = f"--window-size={width},900"
        done = run(chromium, tmp_path, size, "--dump-dom", probe.as_uri())
        assert "CONSOLE" not in done.stderr
        title = re.search(r"<title>(\{.*?\})</title>", done.stdout)
        found = json.loads(title[1])
        assert found == {
            "wide": [],
            "clashes": [],
            "outside": 0,
            "faults": [],
            "scroll": 0,
            "svgs": 9,
        }


def test_it_prints(chromium, page, tmp_path):
    pdf = tmp_path / "page.pdf"
    run(chromium, tmp_path, f"--print-to-pdf={pdf}", page.as_uri())
    data = pdf.read_bytes()
    assert data.startswith(b"%PDF")
    # two pages of tracings, one of the unit and about two for each table
    assert 6 <= len(re.findall(rb"/Type\s*/Page\b", data)) <= 16
