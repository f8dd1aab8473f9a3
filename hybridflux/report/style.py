"""Style of figures and numbers: colours that follow the page's light or dark theme, SVG small enough for a page."""

from __future__ import annotations

import io
import math
import re
from contextlib import contextmanager
from html import escape
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"

INK, MUTED, FAINT = "#0a0b01", "#0a0b02", "#0a0b03"
NEE, GPP, RECO = "#0a0b04", "#0a0b05", "#0a0b06"
ACCENT, TRUTH = "#0a0b07", "#0a0b08"
_THEME = {
    INK: "--ink", MUTED: "--muted", FAINT: "--faint", NEE: "--nee", GPP: "--gpp", RECO: "--reco", ACCENT: "--accent", TRUTH: "--truth",
}  # fmt: skip
"""Stand-in colours of a figure -> names of the page's style sheet, so that one figure serves both themes."""

FLUX_COLOURS = {"NEE": NEE, "GPP": GPP, "RECO": RECO}

_STYLE = {
    "svg.fonttype": "none",
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "axes.unicode_minus": True,
    "path.simplify_threshold": 0.5,
}


@contextmanager
def figure(width: float = 4.2, height: float = 2.6, **axes):
    """A matplotlib figure and its axes in the style of the page; inches at 72 px."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        drawn = Figure(figsize=(width, height), layout="constrained")
        yield drawn, drawn.subplots(**axes)


def to_svg(drawn, label: str) -> str:
    """A figure as inline SVG: themed colours, the page's font, nothing that is loaded from elsewhere.

    Args:
        drawn: matplotlib figure.
        label: description for screen readers; it also makes the ids of the figure unique on the page.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": label}):
        drawn.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1), count=1)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", text)
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d+\.\d{2})\d+", r"\1", tag[0]), text)
    for stand_in, name in _THEME.items():
        text = text.replace(stand_in, f"var({name})")
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(label, quote=True)}"', 1)


def number(value: float, digits: int = 0) -> str:
    r"""A number with a real minus sign and thin thousands.

    >>> number(-1234.5, 1)
    '−1\u202f234.5'
    """
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:,.{digits}f}".replace(",", "\u202f").replace("-", "\u2212")
    return text[1:] if text.startswith("\u2212") and not float(f"{value:.{digits}f}") else text


def interval(low: float, high: float, digits: int = 0) -> str:
    """`low to high`, or a dash where there is none."""
    if not math.isfinite(low):
        return "–"
    return f"{number(low, digits)} to {number(high, digits)}"


def units(text: str) -> str:
    r"""Units with raised exponents, as HTML.

    >>> units("gC m-2 yr-1")
    'gC\u202fm<sup>−2</sup>\u202fyr<sup>−1</sup>'
    """
    text = escape(text).replace("CO2", "CO<sub>2</sub>")
    return re.sub(r"(?<=[a-zA-Z])-(\d)", r"<sup>−\1</sup>", text).replace(" ", "\u202f")


def plain_units(text: str) -> str:
    """Units with raised exponents in plain text, for figures.

    >>> plain_units("gC m-2 d-1"), plain_units("m3 m-3")
    ('gC m⁻² d⁻¹', 'm³ m⁻³')
    """
    return re.sub(r"(?<=[a-zA-Z])(-?)([1-9])\b", lambda found: ("⁻" if found[1] else "") + "⁰¹²³⁴⁵⁶⁷⁸⁹"[int(found[2])], text)
