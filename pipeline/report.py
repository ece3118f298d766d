"""An evaluation as files: tables for papers and programs, plots, and one page of all of it."""

import base64
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline import runs, tables
from pipeline.runs import Json

Tables = Mapping[str, Sequence[Json]]

TITLES = {
    "silent": "How often each finds no face in a picture, and the time it takes",
    "parts": "The ten parts: all classes, and the whole face alone",
    "models": "Models: the whole face, at the threshold best on validation",
    "missed": "Faces that the first stage misses, and who recovers them",
    "unions": "The union that measures best on validation",
    "pairs": "End to end: the first stage, then another where it is silent",
    "together": "End to end at the two thresholds that validation likes best together",
    "points": "Every detector at every threshold",
}
# Of these, rows without any of it are left to the CSV.
_SHORT = {"points": ("note",), "missed": ("missed", "answered")}

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1150px; color: #222 }
table { border-collapse: collapse; font-size: 13px; margin: .5rem 0 1.5rem; display: block;
  overflow-x: auto }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: left;
  font-variant-numeric: tabular-nums; white-space: nowrap }
th { border-bottom: 2px solid #888; vertical-align: bottom; white-space: normal }
img { max-width: 100% }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: 12px }
nav a { margin-right: 1rem }
@media print { body { margin: 0 } }
"""


def write(
    folder: Path, name: str, record: Json, found: Tables, pictures: Mapping[str, bytes]
) -> None:
    """Everything that is derived; ``pictures`` by the names of their files."""
    runs.write_json(folder / "metrics.json", {"tables": dict(found), **record})
    for words, rows in found.items():
        if rows:
            runs.write_text(folder / f"{words}.csv", tables.as_csv(rows))
    shown = {words: _shown(words, rows) for words, rows in found.items()}
    shown = {words: rows for words, rows in shown.items() if rows}
    markdown = [
        f"## {TITLES[words]}\n\n{tables.as_markdown(rows)}" for words, rows in shown.items()
    ]
    runs.write_text(folder / "tables.md", f"# {name}\n\n" + "\n".join(markdown))
    latex = [tables.as_latex(rows, TITLES[words], words) for words, rows in shown.items()]
    runs.write_text(folder / "tables.tex", "\n".join(latex))
    for file, content in pictures.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    runs.write_text(folder / "report.html", _page(name, record, shown, pictures))


def tell(found: Tables) -> None:
    """What a terminal has room for: all levels together."""
    for words, rows in found.items():
        short = [row for row in _shown(words, rows) if row.get("slice", "all") == "all"]
        if short:
            print(f"{TITLES[words]}\n{tables.as_text(short)}")


def _shown(words: str, rows: Sequence[Json]) -> list[Json]:
    wanted = _SHORT.get(words, ())
    return [row for row in rows if not wanted or any(row[key] for key in wanted)]


def _page(name: str, record: Json, found: Tables, pictures: Mapping[str, bytes]) -> str:
    """All of it in one file, without a request to anywhere."""
    body = [f"<h1>{html.escape(name)}</h1>", "<nav>"]
    body += [
        f'<a href="#{words}">{html.escape(words)}</a>' for words in [*found, "pictures", "how"]
    ]
    body.append("</nav>")
    for words, rows in found.items():
        body.append(f'<h2 id="{words}">{html.escape(TITLES[words])}</h2>{_table(rows)}')
    body.append('<h2 id="pictures">Pictures</h2>')
    for file, content in pictures.items():
        kind = "png" if file.endswith(".png") else "jpeg"
        data = base64.b64encode(content).decode()
        said = html.escape(re.sub("[-_]", " ", file.rsplit(".", 1)[0]))
        body.append(f"<h3>{said}</h3>")
        body.append(f'<img alt="{said}" src="data:image/{kind};base64,{data}">')
    body.append('<h2 id="how">How</h2>')
    for part, values in record.items():
        lines = "\n".join(f"{key}: {value}" for key, value in values.items())
        body.append(f"<h3>{html.escape(part)}</h3><pre>{html.escape(lines)}</pre>")
    head = f"<meta charset=utf-8><title>{html.escape(name)}</title><style>{_STYLE}</style>"
    inside = "\n".join(body)
    return f"<!doctype html><html lang=en><head>{head}</head><body>\n{inside}\n</body></html>\n"


def _table(rows: Sequence[Json]) -> str:
    head = "".join(f"<th>{html.escape(str(key))}</th>" for key in rows[0])
    lines = [
        "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row.values()) + "</tr>"
        for row in rows
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
