"""What pages are made of: the document around them, tables, pictures."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
td, th { padding: .2rem .7rem; text-align: left; border-bottom: 1px solid #ddd }
img, video { max-width: 100%; height: auto } pre { background: #f5f5f5; padding: .7rem; overflow-x: auto }
figure { margin: 0 } figcaption { font-weight: 600 }
.curves { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)) }
progress { width: 100%; height: 1.2rem }
"""


def document(title: str, body: str, head: str = "") -> str:
    """A whole page.

    Args:
        title: plain text, also the heading.
        body: HTML below the heading.
        head: HTML for the head, such as scripts.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>{head}</head>"
        f"<body><main><h1>{html.escape(title)}</h1>{body}</main></body></html>"
    )


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Plain values as a table."""
    head = "".join(f"<th>{html.escape(h)}</th>" for h in header)
    lines = ("".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows)
    return f"<table><tr>{head}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def new_figure(columns: int, height: float = 3.0) -> tuple[Any, Any]:
    """A matplotlib figure, and its axes side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * columns, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def image(figure: Any, description: str) -> str:
    """A matplotlib figure as a picture; `description` is for those who do not see it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return embedded(buffer.getvalue(), description)


def embedded(png: bytes, description: str) -> str:
    """A PNG as a picture."""
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(description)}" src="data:image/png;base64,{data}">'
