"""Write the first part of ``quotes.txt`` from the page of evidence on protocols.

    python make_quotes.py protocols.md

For each preset the lines that are about it and that it quotes: those of the
section of that heading, or the row or item that begins with those words. Bars of
tables become spaces and asterisks go; nothing else changes. The sections of what
is recalled are left out, so that nothing can be quoted from them. What stands in
``quotes.txt`` below the mark was copied by hand from the addresses given there,
and stays. (What the policy says is in ``evidence/policy.txt``.)
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
QUOTES = HERE / "quotes.txt"
DATA = HERE.parents[1] / "src" / "nmes_wave" / "presets" / "data"
MARK = "# Copied by hand from the addresses:"
HEADER = """\
# The evidence that the presets quote: presets, place and words, tab-separated.
# Made by make_quotes.py from the evidence page protocols.md, down to the mark. A
# quote must be part of the words of a line that names its preset.
"""

#: Beginning of a section's heading, a row or an item: the presets it is about.
PROTOCOLS = {
    "1. Stevens-Lapsley 2012": "tka-stevens-lapsley-2012",
    "2. Toth 2020": "acl-toth-2020",
    "3a. Snyder-Mackler 1995": "acl-snyder-mackler-1995-high "
    "acl-snyder-mackler-1995-low",
    "4. Delitto 1988": "acl-delitto-1988",
    "5. Fitzgerald 2003": "acl-fitzgerald-2003",
    "6. Petterson 2009": "tka-petterson-2009",
    "7. Stevens/Mizner": "tka-stevens-2004",
    "8. Lewek 2001": "tka-lewek-2001",
    "9. Avramidis 2003": "tka-avramidis-2003 tka-avramidis-2011",
    "10a. Feil 2011": "acl-feil-2011-kneehab acl-feil-2011-polystim",
    "10b. Walls 2010": "tka-walls-2010",
    "11. Gremeaux 2008": "tha-gremeaux-2008",
    "12. Hasegawa 2011": "acl-hasegawa-2011",
    "Rebai 2002": "acl-rebai-2002-80hz acl-rebai-2002-20hz",
    "Lieber 1996": "acl-lieber-1996",
    "Paternostro-Sluga 1999": "acl-paternostro-sluga-1999",
    "Sisk": "knee-sisk",
    "Wigerstad-Lossing": "knee-wigerstad-lossing",
    "Williams": "knee-williams",
    "Yoshida motor": "knee-yoshida-motor",
    "Yoshida sensory": "knee-yoshida-sensory",
    "16c. Review-level": "acl-nussbaum-2017",
    "Valdés 2010": "tka-valdes-2010",
    "2025 RCT": "tka-ptr-2025",
    "Moran 2019": "acl-jner-2019",
    "Jo & Kim 2025": "acl-jo-2025",
    "MiACLR": "acl-nct03626857",
    "NCT01555567": "acl-nct01555567",
    "NCT02058862": "knee-nct02058862",
    "NCT01633047": "acl-nct01633047",
    "Taradaj 2013": "acl-taradaj-2013",
    "Lin & Yan 2011": "stroke-lin-2011",
    "Malhotra 2013": "stroke-malhotra-2013",
    "Silva 2019": "tbi-silva-2019",
    "Patsaki 2017": "icu-patsaki-2017",
    "Gerovasili 2009": "icu-athens",
    "Karatzanos 2012": "icu-athens",
    "Imoto 2013": "knee-imoto-2013",
    "de Araújo 2012": "cardiac-de-araujo-2012",
    "Windholz 2014": "cancer-windholz-2014",
    "NCT03547687": "icu-nct03547687",
    "NCT02754505": "icu-nct02754505",
    "NCT02786849": "dialysis-nct02786849",
    "NCT02313714": "cardiac-nct02313714",
    "Maddocks 2016": "copd-maddocks-2016",
    "COPD (NMES + exercise trials)": "copd-abdellaoui-2011 copd-akar-2017 "
    "copd-dang-2011 copd-kucio-2016 copd-tardif-2015 copd-tasdemir-2015",
    "Kho 2015": "icu-kho-2015",
    "Segers 2014": "icu-segers-2014",
    "Angelopoulos 2013": "icu-angelopoulos-2013-high icu-angelopoulos-2013-medium",
    "Neder 2002": "copd-neder-2002",
    "Bourjeily-Habr 2002": "copd-bourjeily-habr-2002",
    "Mekki 2018": "copd-mekki-2018",
    "Bonnevie 2018": "copd-bonnevie-2018",
    "Aldayel 2021": "healthy-aldayel-2021-ac healthy-aldayel-2021-pc",
    "Holcomb 2006": "healthy-holcomb-2006",
    "Cerqueira 2019": "cardiac-cerqueira-2019",
    "Russian": "wave-russian wave-kots-10-50-10",
    "Kots": "wave-kots-10-50-10",
    "Aussie, 4-ms": "wave-aussie-4ms",
    "″ primary support": "wave-aussie-4ms",
    "Aussie, 2-ms": "wave-aussie-2ms",
    "VFT/CFT, Bickel 2004": "wave-bickel-2004-cft wave-bickel-2004-vft",
    "SDSS, Sayenko 2014": "wave-distributed",
    "SDSS quads, Laubacher IFESS 2016": "wave-distributed",
}

SKIPPED = ("5", "6", "7", "8")  # recalled; traps; what to ship; what to read


def plain(line: str) -> str:
    """Return a line without the marks of the page's format."""
    line = re.sub(r"^[#\s|-]+", "", line.replace("*", ""))
    return re.sub(r"\s+", " ", line.replace("|", " ")).strip()


def of_protocols(text: str) -> list[str]:
    """Return the lines for the presets, each with its section."""
    rows, section, heading, used = [], "", "", set()
    for line in text.splitlines():
        words = plain(line)
        if line.startswith("## "):
            section, heading = words.split()[0].rstrip("."), ""
        elif line.startswith("### "):
            heading = words
        if not words or section in SKIPPED:
            continue
        of_row = line.startswith(("|", "-"))
        for start, presets in PROTOCOLS.items():
            if heading.startswith(start) or (of_row and words.startswith(start)):
                used.add(start)
                rows.append(f"{presets}\tprotocols.md, section {section}\t{words}")
    missing = [*PROTOCOLS.keys() - used]
    if missing:
        raise SystemExit(f"not in the evidence: {missing}")
    return rows


def quoted(row: str) -> bool:
    """Whether a preset of the row quotes it."""
    presets, _, words = row.split("\t")
    texts = [(DATA / f"{name}.toml").read_text("utf-8") for name in presets.split()]
    quotes = [q for text in texts for q in quotes_of(tomllib.loads(text))]
    return any(" ".join(quote.split()) in words for quote in quotes)


def quotes_of(data: object) -> list[str]:
    """Return every quote in a preset file."""
    if isinstance(data, list):
        return [quote for item in data for quote in quotes_of(item)]
    if not isinstance(data, dict):
        return []
    own = [data["quote"]] if data.get("quote") else []
    return own + [quote for item in data.values() for quote in quotes_of(item)]


def main(protocols: str) -> None:
    """Rewrite the part above the mark."""
    rows = of_protocols(Path(protocols).read_text(encoding="utf-8"))
    rows = [row for row in rows if quoted(row)]
    old = QUOTES.read_text(encoding="utf-8") if QUOTES.exists() else MARK + "\n"
    kept = old[old.index(MARK) :]
    QUOTES.write_text(HEADER + "\n".join(rows) + "\n" + kept, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
