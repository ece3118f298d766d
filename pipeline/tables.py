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


def as_text(rows: Sequence[Row]) -> str:
    """Rows as a table for people."""
    widths = {key: max(len(key), *(len(str(row[key])) for row in rows)) for key in rows[0]}
    lines = ["  ".join(f"{key:<{width}}" for key, width in widths.items())]
    lines += ["  ".join(f"{row[key]!s:<{width}}" for key, width in widths.items()) for row in rows]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def as_markdown(rows: Sequence[Row]) -> str:
    """Rows as a table in Markdown."""
    cells = [[str(value) for value in row.values()] for row in rows]
    lines = [list(rows[0]), ["---"] * len(rows[0]), *cells]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
