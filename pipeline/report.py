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
    "verdict": "Is a second stage better than the best cheap way to what its first stage misses?",
    "silent": "How often each finds no face in a picture, and the time it takes",
    "parts": "The ten parts: all classes, and the whole face alone",
    "models": "Models: the whole face, at the threshold best on validation",
    "missed": "Pictures in which the first stage finds no face, and who recovers one",
    "unions": "The union that measures best on validation",
    "pairs": "End to end: the first stage, then another where it is silent",
    "together": "End to end at the two thresholds that validation likes best, or the weights carry",
    "points": "Every detector at its thresholds (points.csv has more of them)",
}
_WORDS = {
    "right": "a box whose IoU with a face is .5 or more, the first of those on that face",
    "missed": "pictures with a face in which the first stage gives no box at its threshold",
    "only wrong boxes": "pictures with a face in which it gives boxes, but none that is right; "
    "nobody else is asked there",
    "answered": "silent pictures in which the other's best box is at or above its own threshold; "
    "those without a face are among them",
    "recovered": "pictures answered rightly, of all missed; from, to: its 95 % interval, over "
    "subjects or photographs, drawn anew",
    "of the non-blank": "the same of those missed alone whose heatmap is not black, as the thesis "
    "counts",
    "weak": "missed pictures in which no part scores .25 in the first stage",
    "chosen on": "silent pictures of validation, on which the threshold was chosen",
    "its lowered threshold": "the first stage again, asked for less",
    "(from parts)": "a face fitted to the parts that the first stage saw, upright faces only",
    "(brightest)": "the largest bright region of its heatmap, without a second network",
    "(held)": "its last box in the same film",
    "A > B": "A first, and B where A is silent",
    "first alone as precise": "its recall at the lowest threshold at which it is as precise on "
    "validation as both together are there",
    "false alarms": "the share of pictures without a face in which a face is found",
    "no face": "windows cut from scenes where there is no face (--empty)",
}
# Of these, rows without any of it are left to the CSV.
_SHORT = {"points": ("note",), "missed": ("missed", "answered")}

_TITLE = ": who finds the hidden face"
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
dt { font-weight: 600; float: left; clear: left; margin-right: .6rem }
dd { margin: 0 0 .3rem }
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
    markdown.append("## Words\n\n" + "".join(f"- *{k}*: {v}\n" for k, v in _WORDS.items()))
    runs.write_text(folder / "tables.md", f"# {name}{_TITLE}\n\n" + "\n".join(markdown))
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
    body = [f"<h1>{html.escape(name)}{_TITLE}</h1>", "<nav>"]
    body += [
        f'<a href="#{words}">{html.escape(words)}</a>'
        for words in [*found, "words", "pictures", "how"]
    ]
    body.append("</nav>")
    for words, rows in found.items():
        body.append(f'<h2 id="{words}">{html.escape(TITLES[words])}</h2>{_table(rows)}')
    words_of = "".join(
        f"<dt>{html.escape(word)}</dt><dd>{html.escape(says)}</dd>" for word, says in _WORDS.items()
    )
    body.append(f'<h2 id="words">Words</h2><dl>{words_of}</dl>')
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
    head = f"<meta charset=utf-8><title>{html.escape(name)}{_TITLE}</title><style>{_STYLE}</style>"
    inside = "\n".join(body)
    return f"<!doctype html><html lang=en><head>{head}</head><body>\n{inside}\n</body></html>\n"


def _table(rows: Sequence[Json]) -> str:
    head = "".join(f"<th>{html.escape(str(key))}</th>" for key in rows[0])
    lines = [
        "<tr>" + "".join(f"<td>{html.escape(value)}</td>" for value in row.values()) + "</tr>"
        for row in tables.cells(rows)
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
