"""Rows of results as CSV, as Markdown, and as a table for people; every row has the same keys."""

import csv
import io
from collections.abc import Mapping, Sequence

Row = Mapping[str, object]


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Rows for people: the numbers of a column with the same decimals."""
    decimals = {
        key: max((_decimals(row[key]) for row in rows if isinstance(row[key], float)), default=0)
        for key in rows[0]
    }
    return [
        {
            key: f"{value:.{decimals[key]}f}" if isinstance(value, float) else str(value)
            for key, value in row.items()
        }
        for row in rows
    ]


def _decimals(value: object) -> int:
    return len(str(value).partition(".")[2])


def as_text(rows: Sequence[Row]) -> str:
    """Rows as a table for people."""
    rows = cells(rows)
    widths = {key: max(len(key), *(len(str(row[key])) for row in rows)) for key in rows[0]}
    lines = ["  ".join(f"{key:<{width}}" for key, width in widths.items())]
    lines += ["  ".join(f"{row[key]!s:<{width}}" for key, width in widths.items()) for row in rows]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def as_markdown(rows: Sequence[Row]) -> str:
    """Rows as a table in Markdown."""
    body = [[value.replace("|", "\\|") for value in row.values()] for row in cells(rows)]
    lines = [list(rows[0]), ["---"] * len(rows[0]), *body]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def as_latex(rows: Sequence[Row], caption: str, label: str) -> str:
    """Rows as a table that booktabs sets, as wide as the text (graphicx): figures on the right."""
    words = {key: any(isinstance(row[key], str) and row[key] for row in rows) for key in rows[0]}
    columns = "".join("l" if each else "r" for each in words.values())
    lines = [
        " & ".join(map(_escaped, rows[0])),
        *(" & ".join(map(_escaped, row.values())) for row in cells(rows)),
    ]
    head, *body = [f"{line} \\\\" for line in lines]
    inside = "\n".join(["\\toprule", head, "\\midrule", *body, "\\bottomrule"])
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{_escaped(caption)}}}\n\\label{{tab:{label}}}\n"
        f"\\resizebox{{\\textwidth}}{{!}}{{%\n\\begin{{tabular}}{{{columns}}}\n{inside}\n"
        "\\end{tabular}}\n\\end{table}\n"
    )


def _escaped(text: str) -> str:
    special = {letter: f"\\{letter}" for letter in "&%$#_{}"}
    special |= {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    special |= {"<": "\\textless{}", ">": "\\textgreater{}"}
    return "".join(special.get(letter, letter) for letter in text)
