"""The page of the viewer: its frame, its data and its scripts, apart for the server or in one file to be opened offline."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from hybridflux.ours import PAGE
from hybridflux.provenance import provenance

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("words.js", "tiles.js", "canvas.js", "panels.js", "app.js")
"""In the order in which they are loaded."""


def live_page(description: dict) -> str:
    """The page that the server gives: style and scripts are files of the server."""
    style = '<link rel="stylesheet" href="viewer.css">'
    return _page(description | {"live": True}, style, "".join(f'<script src="{name}"></script>' for name in SCRIPTS))


def static_page(description: dict) -> str:
    """The page that opens offline: everything but the tiles, which lie in `tiles/` beside it, is in it."""
    style = f"<style>{(ASSETS / 'viewer.css').read_text(encoding='utf-8')}</style>"
    scripts = "".join(f"<script>{(ASSETS / name).read_text(encoding='utf-8')}</script>" for name in SCRIPTS)
    return _page(description | {"live": False}, style, scripts)


def _page(description: dict, style: str, scripts: str) -> str:
    """`</` and `<!--` in names are kept from ending the element of the data."""
    data = json.dumps(description, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    title = escape(" · ".join(dict.fromkeys(run["title"] or run["name"] for run in description["runs"])))
    made = escape(json.dumps(provenance({"page": "viewer"})))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="hybridflux"><title>{title}</title>
{PAGE}{made}">
<link rel="icon" href="data:,">{style}</head>
<body><div id="app"></div><noscript>The viewer needs JavaScript.</noscript>
<script type="application/json" id="description">{data}</script>
{scripts}</body></html>
"""
