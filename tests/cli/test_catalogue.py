"""``presets`` and ``show``: what a reader of the catalogue gets to see."""

from __future__ import annotations

import json

import nmes_wave as nw

PRESET = "tka-stevens-lapsley-2012"


def test_presets_is_a_table_with_a_line_for_each(cli):
    result = cli("presets")
    assert result.code == 0
    assert result.err == ""
    heading, *lines = result.out.splitlines()
    assert heading.split() == [
        "name", "population", "muscle", "rate", "width", "on/off", "status"
    ]  # fmt: skip
    (line,) = (line for line in lines if line.startswith(PRESET))
    for words in ("quadriceps", "50 Hz", "250 µs", "15/45 s", "complete"):
        assert words in line
    for name in nw.presets.names():
        assert sum(line.startswith(f"{name} ") for line in lines) == 1


def test_presets_as_json(cli):
    rows = json.loads(cli("presets", "--json").out)
    assert [row["name"] for row in rows] == [*nw.presets.names()]
    (row,) = (row for row in rows if row["name"] == PRESET)
    assert (row["rate_hz"], row["on_s"], row["off_s"]) == (50, 15, 45)


def test_presets_of_one_status(cli):
    names = {
        status: [r["name"] for r in json.loads(
            cli("presets", "--json", "--status", status).out)]
        for status in ("complete", "partial", "entry")
    }  # fmt: skip
    assert PRESET in names["complete"]
    assert sorted(name for some in names.values() for name in some) == sorted(
        nw.presets.names()
    )


def test_show_tells_every_value_its_source_and_its_quote(cli):
    words = " ".join(cli("show", PRESET).out.split())
    preset = nw.presets.load(PRESET)
    for value in preset.values:
        assert str(value) in words
        if value.kind != "assumed":
            assert f"{value.kind}: {value.source}" in words
            assert f"“{value.quote}”" in words


def test_show_marks_what_is_assumed(cli):
    result = cli("show", PRESET)
    assumed = result.out[result.out.index("╭") : result.out.index("╰")]
    assert "ASSUMED" in assumed
    preset = nw.presets.load(PRESET)
    assert len(preset.assumptions) > 2
    for value in preset.values:
        assert (f" {value} " in assumed) == (value.kind == "assumed")
    top = result.out.splitlines()[:5]
    assert any(f"{len(preset.assumptions)} of" in line for line in top)


def test_show_as_json_has_all_of_it(cli):
    data = json.loads(cli("show", PRESET, "--json").out)
    preset = nw.presets.load(PRESET)
    assert [v["field"] for v in data["values"]] == [v.field for v in preset.values]
    assert data["assumptions"] == [v.field for v in preset.assumptions]
    assert {c["key"] for c in data["citations"]} == {c.key for c in preset.citations}


def test_the_timeline_of_a_preset(cli):
    out = cli("show", PRESET).out
    assert "Timeline: 15 min 0 s" in out
    assert "15 × (15 s at 50 Hz, ramp up 3 s, ramp down 2 s; 45 s off)" in out
    (bar,) = (line for line in out.splitlines() if "····" in line)
    row, period = bar.split()[0], bar.split(maxsplit=1)[1].strip()
    assert len(row) == 60
    assert row.count("·") == 45  # a quarter on
    assert row[3:13] == "█" * 10  # 3 s up, 10 s at the top, 2 s down
    assert period == "60 s"


def test_show_prints_a_protocol_file_that_reads_back(cli, protocol, protocol_file):
    out = cli("show", protocol_file).out
    toml, timeline = out.split("\nTimeline")
    assert nw.StimProtocol.from_toml(toml) == protocol
    assert "channel 1" in timeline
    assert "2 × (0.3 s at 40 Hz; 0.2 s off)" in timeline
    assert "phase 180°, 10 mA" in timeline


def test_show_a_file_as_json(cli, protocol_file):
    data = json.loads(cli("show", protocol_file, "--json").out)
    assert data["channels"][1]["stages"][0]["amplitude_ma"] == 10


def test_markup_in_a_file_is_printed_as_it_is(cli, protocol, tmp_path):
    import dataclasses

    channel = dataclasses.replace(protocol.channels[0], name="[red]knee[/red]")
    dataclasses.replace(protocol, channels=(channel,)).save(tmp_path / "a.toml")
    out = cli("show", "a.toml").out
    assert out.count("[red]knee[/red]") == 2
