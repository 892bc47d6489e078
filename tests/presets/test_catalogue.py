"""Catalogues on copies of the shipped files: what is refused."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import pytest
from made_presets import ACL, NAMES, TKA, Copy

from nmes_wave import presets
from nmes_wave.errors import FormatError, PresetError
from nmes_wave.presets.catalogue import Catalogue


def raw(file: str) -> dict[str, Any]:
    path = files("nmes_wave.presets").joinpath("data", f"{file}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


VALUES = [
    (name, field, table["kind"])
    for name in NAMES
    for field, table in raw(name)["values"].items()
]
NOT_FOUND = [(name, field) for name in NAMES for field in raw(name)["not_found"]]


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


@pytest.mark.parametrize("source", ["conley-2021", "conley-2021, "])
def test_a_source_without_its_place_is_refused(copy: Copy, source: str) -> None:
    catalogue = copy.edit(TKA, lambda d: d["values"]["rate_hz"].update(source=source))
    refused(catalogue, TKA, r"rate_hz\.source = 'conley-2021.*and the place")


def test_a_preset_that_no_setting_names_is_refused_alone(copy: Copy) -> None:
    def forget(policy: dict[str, Any]) -> None:
        for setting in policy["settings"]:
            setting["presets"] = [n for n in setting["presets"] if n != TKA]

    catalogue = copy.edit("policy", forget)
    refused(catalogue, TKA, rf"^policy\.toml: no setting names {TKA}")
    assert catalogue.load(ACL).status == "complete"


@pytest.mark.parametrize("text", ["a = " + 5000 * "1", "a = " + 5000 * "["])
def test_a_file_that_toml_cannot_hold_is_refused_by_name(copy: Copy, text: str) -> None:
    (copy.root / f"{TKA}.toml").write_text(text, encoding="utf-8")
    refused(copy.catalogue, TKA, rf"^{TKA}\.toml: ")


def test_a_folder_that_is_not_there_is_refused(copy: Copy) -> None:
    with pytest.raises(PresetError, match=r"no folder of presets: .*nowhere"):
        Catalogue(copy.root / "nowhere").names()


@pytest.mark.parametrize(("name", "field", "kind"), VALUES)
def test_a_dangling_source_is_refused(
    copy: Copy, name: str, field: str, kind: str
) -> None:
    def change(data: dict[str, Any]) -> None:
        data["values"][field]["source"] = "conley-2012, Table 5"

    catalogue = copy.edit(name, change)
    refused(catalogue, name, rf"{field}\.source = 'conley-2012'.*conley-2021\?")


CITED = sorted({c.key for name in NAMES for c in presets.load(name).citations})


@pytest.mark.parametrize("key", CITED)
def test_a_reference_that_goes_is_missed(copy: Copy, key: str) -> None:
    catalogue = copy.edit("references", lambda d: d.pop(key))
    with pytest.raises(FormatError, match=rf"'{key}': (is not in ref|does not exist)"):
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
        (TKA, ("values", "rate_hz", "group"), "rate_hz.group: unknown key"),
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


@pytest.mark.parametrize("file", ["references", "assumptions", "policy", TKA])
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
