"""Catalogues on copies of the shipped files: what is refused, what a status is."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from nmes_wave import presets
from nmes_wave.errors import FormatError, PresetError
from nmes_wave.presets import Preset
from nmes_wave.presets.catalogue import Catalogue
from nmes_wave.spec import Burst, Pulse

TKA = "tka-stevens-lapsley-2012"
ACL = "acl-lieber-1996"
NAMES = (ACL, TKA)


def raw(file: str) -> dict[str, Any]:
    path = files("nmes_wave.presets").joinpath("data", f"{file}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


VALUES = [
    (name, field, table["kind"])
    for name in NAMES
    for field, table in raw(name)["values"].items()
]
NOT_FOUND = [(name, field) for name in NAMES for field in raw(name)["not_found"]]


class Copy:
    """A copy of the shipped files that a test may spoil."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.root)

    def edit(self, file: str, change: Callable[[dict[str, Any]], object]) -> Catalogue:
        path = self.root / f"{file}.toml"
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        change(data)
        path.write_text(tomli_w.dumps(data), encoding="utf-8")
        return self.catalogue

    def lose(self, file: str, *fields: str) -> Catalogue:
        """Make values of a preset not found."""

        def change(data: dict[str, Any]) -> None:
            for field in fields:
                del data["values"][field]
                data["not_found"][field] = ""

        return self.edit(file, change)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    with as_file(files("nmes_wave.presets").joinpath("data")) as data:
        shutil.copytree(data, tmp_path / "data")
    return Copy(tmp_path / "data")


# ---- what is refused ---------------------------------------------------------


def refused(catalogue: Catalogue, name: str, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        catalogue.load(name)
    with pytest.raises(FormatError, match=match):
        catalogue.names("complete")


def test_the_copy_itself_is_whole(copy: Copy) -> None:
    assert copy.catalogue.names("complete") == NAMES
    assert copy.catalogue.load(TKA) == presets.load(TKA)


@pytest.mark.parametrize(("name", "field", "kind"), VALUES)
def test_a_value_without_its_source_is_refused(
    copy: Copy, name: str, field: str, kind: str
) -> None:
    catalogue = copy.edit(name, lambda d: d["values"][field].pop("source"))
    refused(
        catalogue,
        name,
        rf"values\.{field}\.source.*must be given where kind is .{kind}",
    )


@pytest.mark.parametrize(("name", "field", "kind"), VALUES)
def test_a_value_without_its_words_is_refused(
    copy: Copy, name: str, field: str, kind: str
) -> None:
    words = "note" if kind == "derived" else "quote"
    catalogue = copy.edit(name, lambda d: d["values"][field].update({words: "  "}))
    refused(
        catalogue,
        name,
        rf"values\.{field}\.{words}.*must be given where kind is .{kind}",
    )


@pytest.mark.parametrize(("name", "field", "kind"), VALUES)
def test_a_dangling_source_is_refused(
    copy: Copy, name: str, field: str, kind: str
) -> None:
    def change(data: dict[str, Any]) -> None:
        data["values"][field]["source"] = "conley-2012, Table 5"

    catalogue = copy.edit(name, change)
    refused(catalogue, name, rf"{field}\.source = 'conley-2012'.*conley-2021\?")


@pytest.mark.parametrize("key", raw("references"))
def test_a_reference_that_goes_is_missed(copy: Copy, key: str) -> None:
    catalogue = copy.edit("references", lambda d: d.pop(key))
    with pytest.raises(FormatError, match=rf"'{key}': is not in references\.toml"):
        catalogue.names("complete")


@pytest.mark.parametrize("place", ["citations", "evidence"])
def test_a_dangling_citation_elsewhere_is_refused(copy: Copy, place: str) -> None:
    def change(data: dict[str, Any]) -> None:
        if place == "citations":
            data["citations"].append("lieber-1969")
        else:
            data["evidence"]["source"] = "lieber-1969, abstract"

    refused(copy.edit(ACL, change), ACL, rf"{place}.*did you mean lieber-1996")


@pytest.mark.parametrize(("name", "field", "_kind"), VALUES)
def test_a_forgotten_value_is_refused(
    copy: Copy, name: str, field: str, _kind: str
) -> None:
    catalogue = copy.edit(name, lambda d: d["values"].pop(field))
    refused(catalogue, name, rf"values\.{field}.*must be given, or be in not_found")


@pytest.mark.parametrize(("name", "field"), NOT_FOUND)
def test_a_forgotten_not_found_is_refused(copy: Copy, name: str, field: str) -> None:
    catalogue = copy.edit(name, lambda d: d["not_found"].pop(field))
    refused(catalogue, name, rf"values\.{field}.*must be given, or be in not_found")


@pytest.mark.parametrize(
    ("name", "path", "match"),
    [
        (TKA, ("titel",), "titel: unknown key; did you mean title"),
        (TKA, ("status",), "status: unknown key"),
        (TKA, ("values", "rate_hz", "qoute"), "rate_hz.qoute: .*did you mean quote"),
        (TKA, ("values", "rate_hz", "field"), "rate_hz.field: unknown key"),
        (TKA, ("values", "rate_hzz"), "values.rate_hzz: .*did you mean rate_hz"),
        (TKA, ("not_found", "wekes"), "not_found.wekes: .*did you mean weeks"),
        (TKA, ("evidence", "desing"), "evidence.desing: .*did you mean design"),
        ("references", ("conley-2021", "tittle"), "tittle: .*did you mean title"),
        ("references", ("conley-2021", "key"), "conley-2021.key: unknown key"),
        ("assumptions", ("assumption",), "assumption: .*did you mean assumptions"),
    ],
)
def test_an_unknown_key_is_refused(
    copy: Copy, name: str, path: tuple[str, ...], match: str
) -> None:
    def change(data: dict[str, Any]) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = "x"

    refused(copy.edit(name, change), TKA, match)


@pytest.mark.parametrize(
    ("field", "key", "value", "match"),
    [
        ("rate_hz", "unit", "kHz", r"rate_hz\.unit = 'kHz': must be 'Hz'"),
        ("rate_hz", "value", "50", r"rate_hz\.value = '50': must be a number"),
        ("rate_hz", "value", -50.0, "must be greater than 0"),
        ("contractions", "value", 15.5, "must be a whole number"),
        ("electrode_size_cm", "value", [7.6], "must have 2 items"),
        ("waveform", "value", "biphasic", "must be one of 'symmetrical biphasic'"),
        ("rate_hz", "kind", "published", "must be one of 'reported'"),
        ("rate_hz", "kind", "assumed", r"only assumptions\.toml may assume"),
    ],
)
def test_a_wrong_value_is_refused(
    copy: Copy, field: str, key: str, value: object, match: str
) -> None:
    def change(data: dict[str, Any]) -> None:
        data["values"][field][key] = value
        if value == "assumed":  # as whoever wants to pass a guess would write it
            data["values"][field] |= {"source": "", "note": "surely"}

    refused(copy.edit(TKA, change), TKA, match)


def test_a_field_found_and_not_found_is_refused(copy: Copy) -> None:
    catalogue = copy.edit(TKA, lambda d: d["not_found"].update(rate_hz=""))
    refused(catalogue, TKA, r"not_found\.rate_hz.*has a value too")


@pytest.mark.parametrize("place", ["values", "not_found"])
def test_a_field_of_another_waveform_is_refused(copy: Copy, place: str) -> None:
    def change(data: dict[str, Any]) -> None:
        rate = data["values"]["rate_hz"]
        data[place]["carrier_hz"] = rate if place == "values" else ""

    match = rf"{place}\.carrier_hz.*does not apply to the waveform symmetrical"
    refused(copy.edit(TKA, change), TKA, match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda row: row.pop("reason"), "reason.*must be given"),
        (lambda row: row.update(reason=" "), "must be given where kind is .assumed"),
        (lambda row: row.update(value=-1.0), "must be at least 0"),
        (
            lambda row: row.update(field="interphase_gap"),
            "did you mean interphase_gap_us",
        ),
        (lambda row: row.update(waveforms=["square"]), "must be one of"),
    ],
)
def test_a_wrong_default_is_refused(copy: Copy, change: Any, match: str) -> None:
    def spoil(data: dict[str, Any]) -> None:
        rows = data["assumptions"]
        change(next(r for r in rows if r["field"] == "interphase_gap_us"))

    refused(copy.edit("assumptions", spoil), TKA, match)


@pytest.mark.parametrize("file", ["references", "assumptions", TKA])
def test_a_file_that_is_no_toml_is_refused_by_name(copy: Copy, file: str) -> None:
    (copy.root / f"{file}.toml").write_text("a = = 1", encoding="utf-8")
    refused(copy.catalogue, TKA, rf"^{file}\.toml: ")


def test_a_missing_table_is_refused_by_name(copy: Copy) -> None:
    (copy.root / "references.toml").unlink()
    refused(copy.catalogue, TKA, r"^references\.toml: ")
    refused(copy.edit(ACL, lambda d: d.pop("values")), ACL, "values = None")


def test_a_broken_preset_does_not_take_the_others_with_it(copy: Copy) -> None:
    (copy.root / f"{ACL}.toml").write_text("a = = 1", encoding="utf-8")
    assert copy.catalogue.names() == NAMES
    assert copy.catalogue.load(TKA).status == "complete"


# ---- status ------------------------------------------------------------------


@pytest.mark.parametrize("field", ["waveform", "ramp_up_s"])
def test_without_waveform_or_ramp_it_is_partial(copy: Copy, field: str) -> None:
    preset = copy.lose(TKA, field).load(TKA)
    assert preset.status == "partial"
    assert copy.catalogue.names("partial") == (TKA,)
    assert copy.catalogue.names("complete") == (ACL,)


def test_one_of_contractions_and_session_is_enough(copy: Copy) -> None:
    assert copy.lose(ACL, "contractions").load(ACL).status == "complete"
    assert copy.lose(ACL, "session_min").load(ACL).status == "partial"


@pytest.mark.parametrize("field", ["rate_hz", "on_s", "off_s", "phase_width_us"])
def test_an_entry_says_what_is_missing(copy: Copy, field: str) -> None:
    preset = copy.lose(TKA, field, "ramp_up_s").load(TKA)
    assert preset.status == "entry"
    for accept in (False, True):
        with pytest.raises(PresetError, match=f"{field}.*ramp_up_s") as caught:
            preset.protocol(accept_assumptions=accept)
        assert "waveform" not in str(caught.value)


def test_a_partial_preset_asks_to_accept_what_it_assumes(copy: Copy) -> None:
    preset = copy.lose(TKA, "ramp_up_s").load(TKA)
    with pytest.raises(PresetError, match="no source gives ramp_up_s") as caught:
        preset.protocol(amplitude_ma=40)
    for value in preset.assumptions:
        assert str(value) in str(caught.value)
    assert "ramp_up_s = 2 s" in str(caught.value)
    protocol = preset.protocol(amplitude_ma=40, accept_assumptions=True)
    assert protocol.channels[0].stages[0].envelope.ramp_up_s == 2
    assert "ramp_up_s = 2 s" in protocol.description


def test_what_has_no_default_must_be_given(copy: Copy) -> None:
    preset = copy.lose(TKA, "contractions", "session_min").load(TKA)
    assert {n.field for n in preset.not_found} >= {"contractions", "session_min"}
    with pytest.raises(PresetError, match="give them: contractions=…"):
        preset.protocol(amplitude_ma=40, accept_assumptions=True)
    protocol = preset.protocol(amplitude_ma=40, accept_assumptions=True, contractions=7)
    assert protocol.channels[0].stages[0].duty_cycle.repeats == 7


def test_without_a_waveform_one_must_be_given(copy: Copy) -> None:
    preset = copy.lose(TKA, "waveform").load(TKA)
    with pytest.raises(PresetError, match="give them: waveform=…"):
        preset.protocol(amplitude_ma=40, accept_assumptions=True)
    protocol = preset.protocol(
        amplitude_ma=40,
        accept_assumptions=True,
        waveform="symmetrical biphasic",
        shape="rectangular",
        interphase_gap_us=0,
    )
    assert isinstance(protocol.channels[0].stages[0].event, Pulse)


@pytest.mark.parametrize(
    ("override", "contractions"),
    [({}, 60), ({"off_s": 50}, 30), ({"ramps_count_as_on": False}, 52)],
)
def test_a_session_length_alone_holds_whole_contractions(
    copy: Copy, override: dict[str, Any], contractions: int
) -> None:
    # 1800 s / 30 s, 1800 / 60, and 1800 / (2 + 10 + 2 + 20) = 52.9
    preset = copy.lose(ACL, "contractions").load(ACL)
    protocol = preset.protocol(amplitude_ma=40, **override)
    assert protocol.channels[0].stages[0].duty_cycle.repeats == contractions


def burst(copy: Copy) -> Preset:
    def change(data: dict[str, Any]) -> None:
        values, lacking = data["values"], data["not_found"]
        for field in ("pulse_duration_meaning", "interphase_gap_us", "shape"):
            del lacking[field]
        del values["phase_width_us"]
        rate = values["rate_hz"]
        values["waveform"] |= {"value": "burst"}
        values["carrier_hz"] = rate | {"value": 2500.0}
        values["cycles"] = rate | {"value": 25, "unit": ""}
        values["shape"] = rate | {"value": "sine", "unit": ""}

    return copy.edit(TKA, change).load(TKA)


def test_a_burst_is_complete_with_carrier_and_cycles(copy: Copy) -> None:
    preset = burst(copy)
    assert preset.status == "complete"
    event = preset.protocol(amplitude_ma=40).channels[0].stages[0].event
    assert event == Burst(carrier_hz=2500, cycles=25)
    assert "interphase_gap_us" not in {v.field for v in preset.assumptions}


def test_a_burst_without_cycles_is_partial_without_carrier_an_entry(
    copy: Copy,
) -> None:
    burst(copy)
    assert copy.lose(TKA, "cycles").load(TKA).status == "partial"
    assert copy.lose(TKA, "carrier_hz").load(TKA).status == "entry"
