"""``presets`` and ``show``: what a reader of the catalogue gets to see."""

from __future__ import annotations

import json

import pytest

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
        (line,) = (line for line in lines if line.startswith(f"{name} "))
        assert nw.presets.load(name).population in line, "cut in a pipe"
    assert "…" not in result.out


def test_presets_marks_what_is_assumed_or_open_or_differs(cli):
    lines = {x.split()[0]: x for x in cli("presets").out.splitlines() if x.strip()}
    assert "(25) × 2500 Hz" in lines["acl-fitzgerald-2003"]
    assert "300–400 µs" in lines["acl-feil-2011-kneehab"]
    assert "400, 250 µs" in lines["icu-kho-2015"]
    assert "5/10, 5/5 s" in lines["icu-kho-2015"]
    assert "2/15 → 10/15 s" in lines["copd-maddocks-2016"]
    assert " yours " in lines["wave-russian"]
    assert " – " in lines["acl-toth-2020"]


@pytest.mark.parametrize("columns", [80, 150])
def test_presets_on_a_terminal_are_never_cut_where_it_matters(
    cli, monkeypatch, columns
):
    monkeypatch.setenv("COLUMNS", str(columns))
    out = cli("presets").out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= columns
    for name in nw.presets.names():
        (line,) = (x for x in out.splitlines() if x.startswith(f"{name} "))
        assert nw.presets.load(name).status in line
    assert "2/15 → 10/15 s" in out


def test_presets_as_json(cli):
    rows = json.loads(cli("presets", "--json").out)
    assert [row["name"] for row in rows] == [*nw.presets.names()]
    (row,) = (row for row in rows if row["name"] == PRESET)
    assert (row["rate_hz"], row["on_s"], row["off_s"]) == (50, 15, 45)


def test_presets_of_one_population(cli):
    rows = json.loads(
        cli("presets", "--json", "--population", "icu", "--status", "complete").out
    )
    assert "icu-kho-2015" in {row["name"] for row in rows}
    assert {row["status"] for row in rows} == {"complete"}
    (kho,) = (row for row in rows if row["name"] == "icu-kho-2015")
    assert (kho["rate_hz"], kho["off_s"]) == (50, [10, 5, 5])
    assert len(kho["channels"]) == 6
    nobody = cli("presets", "--population", "martians")
    assert (nobody.code, nobody.out) == (0, "")
    assert "no preset" in nobody.err


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
    assert {t["clause"]["key"] for t in data["exclusions"]} == {
        touch.key for touch in preset.exclusions
    }


@pytest.mark.parametrize("name", nw.presets.names("partial"))
def test_what_a_partial_preset_assumes_cannot_be_missed(cli, name):
    preset = nw.presets.load(name)
    out = cli("show", name).out
    # before anything that is known, framed, with every value and every reason
    assert out.index("╭") < out.index("From the sources")
    frame = out[out.index("╭") : out.index("╰")]
    heading, *inside = frame.splitlines()
    assert "PARTIAL, so part of it is ASSUMED" in heading
    assert "--accept-assumptions" in inside[0]
    words = " ".join(" ".join(inside).replace("│", " ").split())
    for value in preset.assumptions:
        assert f"{value} {value.note}".strip() in words
    for value in preset.values:
        assert (f" {value} " in frame) == (value.kind == "assumed")
    # in the first lines, and again where the numbers are put together
    n = len(preset.assumptions)
    assert f"{n} of {len(preset.values)} values are ASSUMED" in out[: out.index("╭")]
    timelines = [x for x in out.splitlines() if x.startswith("Timeline")]
    assert len(timelines) == max(1, len(preset.phases))
    assert all("made with what is ASSUMED" in x for x in timelines)


def test_show_says_what_is_not_in_the_protocol(cli):
    out = cli("show", "icu-athens").out
    preset = nw.presets.load("icu-athens")
    assert preset.omitted
    for omission in preset.omitted:
        assert omission.what in out.split("\n\n")[0]
        assert out.count(omission.what) >= 2


def test_show_a_waveform_a_range_and_an_entry(cli):
    russian = cli("show", "wave-russian").out
    assert "Yours to give" in russian
    assert "yours to give: on_s=…, off_s=…" in " ".join(russian.split())
    nussbaum = cli("show", "acl-nussbaum-2017").out
    assert "entry, range" in nussbaum
    assert "rate_hz: 30 to 50 Hz, of a pulse" in nussbaum
    toth = cli("show", "acl-toth-2020").out
    assert "ASSUMED" not in toth
    assert "Timeline: none" in toth


def test_show_several_channels_and_phases(cli):
    kho = cli("show", "icu-kho-2015").out
    assert "6 channels: left quadriceps, " in kho
    assert "quadriceps: on_s = 5 s" in kho
    assert kho.count(" × (5 s at 50 Hz") == 6
    maddocks = cli("show", "copd-maddocks-2016").out
    for phase in nw.presets.load("copd-maddocks-2016").phases:
        assert f", {phase.name}, made with what is ASSUMED" in maddocks


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


def test_show_tells_of_timing_and_electrodes(cli):
    assert "channel_timing = simultaneous" in cli("show", "icu-kho-2015").out
    out = " ".join(cli("show", "icu-athens").out.split())
    assert "channel_timing = simultaneous reported: karatzanos-2012" in out
    assert "electrodes: two of the size for each channel" in out
    out = " ".join(cli("show", "acl-feil-2011-kneehab").out.split())
    assert "channel_timing" not in out
    assert "electrodes: two" not in out


def test_show_tells_the_note_of_an_outcome(cli):
    out = " ".join(cli("show", "acl-feil-2011-polystim").out.split())
    assert "Kneehab was better, not this arm." in out
