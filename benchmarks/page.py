"""Put the figures of ``docs/performance.json`` into ``docs/performance.md``.

After ``nmes-wave bench --peers-python ... --json docs/performance.json``.
"""

from pathlib import Path

from nmes_wave.bench import Run, tables

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
DOCS = Path(__file__).parent.parent / "docs"


def main() -> None:
    page = DOCS / "performance.md"
    run = Run.from_json((DOCS / "performance.json").read_text("utf-8"))
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    figures = f"{BEGIN}\n\n{tables.markdown(run)}\n{END}"
    page.write_text(f"{before}{figures}{after}", "utf-8")


if __name__ == "__main__":
    main()
