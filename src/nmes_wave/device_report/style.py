"""The style sheet of the page: dark text on white, on screen and on paper."""

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1a1a1a;
  font: 15px/1.45 "DejaVu Sans", Verdana, Arial, Helvetica, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 24px; overflow-wrap: break-word; }
h1 { font-size: 1.7em; line-height: 1.2; }
h2 { font-size: 1.3em; margin-top: 2em; border-bottom: 2px solid #1a1a1a; }
h3 { font-size: 1.08em; margin-top: 1.6em; }
a { color: #004a8f; }
.statements { border: 2px solid #8a2b00; padding: 10px 10px 10px 30px; }
table { border-collapse: collapse; width: 100%; margin: 12px 0 20px; font-size: 0.9em; }
caption { text-align: left; font-weight: bold; padding: 6px 0; }
th, td { border: 1px solid #777; padding: 5px 7px; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
th { background: #f1f3f5; font-weight: bold; }
thead th { overflow-wrap: normal; }
td p { margin: 0; }
.facts th { width: 22%; }
.number { text-align: right; width: 3em; }
section th[scope=rowgroup] { width: 20%; font-weight: normal; }
.part { width: 15%; }
.value { font-weight: bold; }
.calculation { width: 42%; font-size: 0.94em; }
.note { font-size: 0.9em; color: #3a3a3a; }
.blank { font-style: italic; color: #6b3a00; }
.tracings { display: grid; grid-template-columns: 1fr 1fr; gap: 14px; }
figure { margin: 0; border: 1px solid #bbb; padding: 6px; break-inside: avoid; }
figure svg { width: 100%; height: auto; display: block; }
figcaption { font-size: 0.8em; color: #333; padding-top: 4px; }
@media screen and (max-width: 760px) {
  main { padding: 10px; }
  .tracings { grid-template-columns: 1fr; }
}
@media print {
  @page { margin: 14mm 12mm; }
  body { font-size: 9.5pt; }
  th, td { padding: 3px 6px; }
  main { max-width: none; padding: 0; }
  nav { display: none; }
  h1, h2, h3, caption, section > p { break-after: avoid; }
  tr, tbody, figure, li { break-inside: avoid; }
  .facts tbody, table > tbody:only-of-type { break-inside: auto; }
  thead { display: table-header-group; }
  .tracings { gap: 8px; }
  #section-2, #section-3 { break-before: page; }
  a { color: inherit; text-decoration: none; }
}
"""
