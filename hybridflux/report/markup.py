"""Pieces of the page, and the page around them: sections, cards, tables and interval bars as HTML text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape

import numpy as np

from hybridflux.ours import PAGE
from hybridflux.provenance import provenance
from hybridflux.report.style import ASSETS


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        id: anchor of the section.
        short: short title in the bar at the top.
        title: heading.
        body: HTML.
    """

    id: str
    short: str
    title: str
    body: str

    def html(self) -> str:
        """The section as HTML."""
        return f'<section id="{self.id}"><h2>{escape(self.title)}</h2>\n{self.body}\n</section>'


def document(kicker: str, heading: str, lead: str, sections: list[Section], tail: str = "") -> str:
    """A whole page: everything is inside, nothing is loaded from elsewhere.

    Args:
        kicker: small words above the heading, plain text.
        heading: plain text.
        lead: HTML below the heading.
        sections: sections in order, each with a link at the top.
        tail: HTML at the end, for data and scripts.
    """
    links = "".join(f'<a href="#{part.id}">{escape(part.short)}</a>' for part in sections)
    body = "\n".join(part.html() for part in sections)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="hybridflux"><title>{escape(heading)}</title>
{PAGE}{escape(json.dumps(provenance({"page": heading})))}">
<link rel="icon" href="data:,"><style>{(ASSETS / "page.css").read_text(encoding="utf-8")}</style></head>
<body><header><div class="kicker">hybridflux · {escape(kicker)}</div><h1>{escape(heading)}</h1>{lead}</header>
<nav><div>{links}</div></nav>
<main>{body}</main>
<footer class="note">NEE = RECO − GPP, positive to the atmosphere, negative = uptake. This page needs no network.</footer>
{tail}</body></html>
"""


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of HTML text."""
    return f'<p class="{kind}">{text}</p>' if kind else f"<p>{text}</p>"


def card(name: str, value: str, unit: str, more: str, tone: str = "--faint") -> str:
    """A headline number; `tone` is a colour of the style sheet."""
    return (
        f'<div class="card" style="--tone: var({tone})"><div class="name">{name}</div>'
        f'<div class="value">{value} <small>{unit}</small></div><div class="more">{more}</div></div>'
    )


def cards(items: list[str]) -> str:
    """Headline numbers side by side."""
    return f'<div class="cards">{"".join(items)}</div>'


def grid(figures: list[str], kind: str = "") -> str:
    """Figures side by side, one under the other on a phone."""
    return f'<div class="grid {kind}">{"".join(f"<figure>{figure}</figure>" for figure in figures)}</div>'


def legend(*entries: tuple[str, str, str]) -> str:
    """Entries of (words, colour of the style sheet, kind: "", "band", "dash" or "dot")."""
    marks = "".join(f'<span><i class="{kind}" style="--tone: var({tone})"></i>{words}</span>' for words, tone, kind in entries)
    return f'<div class="legend">{marks}</div>'


def table(head: list[str], rows: list[list[str] | str], whole: int = 0) -> str:
    """A table of HTML cells; the first `whole` rows are in bold, a row that is a single text is a heading of the rows below.

    A cell that begins with `<td` is taken as it is.
    """
    top = "".join(f"<th>{cell}</th>" for cell in head)
    lines = []
    for number, row in enumerate(rows):
        if isinstance(row, str):
            lines.append(f'<tr class="heading"><td colspan="{len(head)}">{row}</td></tr>')
            continue
        cells = "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row)
        lines.append(f"<tr{' class=whole' if number < whole else ''}>{cells}</tr>")
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def interval_bar(low: float, middle: float, high: float, scale: tuple[float, float], tone: str, truth: float | None = None) -> str:
    """An interval as a small bar on a scale shared by a table, with zero and the truth where they are on it."""
    first, last = scale

    def at(value: float) -> float:
        return round(4 + 162 * float(np.clip((value - first) / (last - first or 1.0), 0, 1)), 1) if np.isfinite(value) else 0.0

    def upright(value: float, stroke: str, width: float) -> str:
        return f'<line x1="{at(value)}" x2="{at(value)}" y1="2" y2="16" stroke="var({stroke})" stroke-width="{width}"/>'

    zero = upright(0, "--faint", 1) if first <= 0 <= last else ""
    mark = upright(truth, "--truth", 2) if truth is not None else ""
    known = np.isfinite(low) and np.isfinite(high)
    band = f'<line x1="{at(low)}" x2="{at(high)}" y1="9" y2="9" stroke="var({tone})" stroke-width="5" opacity=".45"/>'
    dot = f'<circle cx="{at(middle)}" cy="9" r="3.4" fill="var({tone})"/>'
    return f'<svg viewBox="0 0 170 18" aria-hidden="true">{zero}{band if known else ""}{dot}{mark}</svg>'


def badge(word: str) -> str:
    """A verdict in its colour."""
    return f'<span class="badge {word}">{word}</span>'


def definitions(entries: dict[str, str]) -> str:
    """Names and values, both as plain text."""
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in entries.items()) + "</dl>"
