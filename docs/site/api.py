"""A page for each public name, which mkdocstrings fills from the docstring."""

from __future__ import annotations

import ast
from importlib import import_module
from inspect import getdoc, ismodule

from docs.site.stage import ROOT
from docs.site.words import plain, table

GROUPS = {
    "data": "Towers and data", "model": "Compose a model", "process": "Compose a model", "inference": "Fit", "region": "Regions and maps",
    "products": "Budgets, scenarios, exports", "report": "Reports", "registry": "Extend", "vocabulary": "Vocabulary",
}  # fmt: skip
"""Room -> heading of its names."""


def public_names() -> dict[str, str]:
    """Public name -> `module.name` behind it, in the order of `hybridflux/__init__.pyi`."""
    tree = ast.parse((ROOT / "hybridflux" / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {one.asname or one.name: f"{node.module}.{one.name}" for node in imports for one in node.names}


def documented(path: str):
    """The object behind a path, or the module."""
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name)
    return import_module(path) if ismodule(found) else found


def pages() -> dict[str, str]:
    """The index by room, and a page a name."""
    made: dict[str, str] = {}
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, path in public_names().items():
        found = documented(path)
        has_own = isinstance(found, type) or callable(found) or ismodule(found)
        first = plain((getdoc(found) or "").split("\n\n")[0].replace("\n", " ")) if has_own else "A constant."
        groups.setdefault(GROUPS[path.split(".")[1]], []).append((f"[`hf.{name}`](api/{name}.md)", first))
        made[f"reference/api/{name}.md"] = _page(name, path, ismodule(found))
    parts = ["# API", "Every public name of `import hybridflux as hf`. What is not here may change without notice."]
    for heading, rows in groups.items():
        parts += [f"## {heading}", table(["name", "what it is"], sorted(rows, key=lambda row: row[0].lower()))]
    made["reference/api.md"] = "\n\n".join(parts) + "\n"
    return made


def _page(name: str, path: str, is_module: bool) -> str:
    options = ["heading_level: 2", "show_root_heading: true"]
    if is_module:
        options = ["heading_level: 2", "show_root_heading: false", "show_root_toc_entry: false"]
    lines = "\n".join(f"      {line}" for line in options)
    return f"# hf.{name}\n\n`{path}`\n\n::: {path}\n    options:\n{lines}\n"
