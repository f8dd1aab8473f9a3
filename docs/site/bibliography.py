"""The bibliography: every DOI that a docstring, the vocabulary, the catalog or a page of results names, and who names it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from docs.site.stage import ROOT, place_of
from docs.site.words import DOI, linked, plain, table

PLACES = (("hybridflux", "*.py"), ("data_catalog", "*.toml"), ("experiments/results", "*.md"), ("docs", "*.md"))
AUTHOR = re.compile(r"((?:[A-Z][\w'.-]+(?: (?:&|and) [A-Z][\w'.-]+)?)(?: et al\.?)?,? \(?(?:19|20)\d\d[a-z]?\)?)[\s,;:(]*(?:doi:|\[)?\s*$")


def references() -> dict[str, tuple[str, list[str]]]:
    """DOI -> author and year where a text gives them, and the files that name it."""
    found: dict[str, tuple[str, list[str]]] = {}
    for folder, pattern in PLACES:
        for path in sorted((ROOT / folder).rglob(pattern)):
            text = re.sub(r"\"\s*\n\s*\"|\n\s*#?\s*", " ", path.read_text(encoding="utf-8"))
            for match in DOI.finditer(text):
                doi = match[0].replace("https://doi.org/", "")
                author = AUTHOR.search(text[max(0, match.start() - 120) : match.start()])
                name, files = found.setdefault(doi, ("", []))
                source = path.relative_to(ROOT).as_posix()
                found[doi] = (name or (author[1] if author else ""), [*files, *([] if source in files else [source])])
    return found


def page() -> str:
    """The page, by author."""
    known = sorted(references().items(), key=lambda item: (not item[1][0], item[1][0] or item[0]))
    rows = [(plain(name), linked(doi), ", ".join(_said_in(source) for source in files)) for doi, (name, files) in known]
    text = (
        "Equations, defaults, priors, datasets and comparisons that hybridflux takes from others, collected from the code and the pages. "
        "The name is as they give it."
    )
    return "\n\n".join(["# Bibliography", text, table(["reference", "DOI", "named in"], rows)]) + "\n"


def _said_in(source: str) -> str:
    """A file, as a link where it has a page."""
    path = Path(source)
    if source.startswith("hybridflux/process/") and path.stem not in ("call", "declare", "__init__"):
        return f"[{path.stem}](atlas/{path.stem}.md)"
    if source.startswith("hybridflux/vocabulary"):
        return "[parameters](parameters.md)"
    if source.startswith("data_catalog/"):
        return f"[{path.stem}](catalog.md#{path.stem})" if path.parent.name != "regions" else f"[{path.stem}](regions.md#{path.stem})"
    if path.suffix == ".md":
        return f"[{path.stem}]({os.path.relpath(place_of(source), 'reference')})"
    return f"`{'.'.join(path.with_suffix('').parts[1:])}`"
