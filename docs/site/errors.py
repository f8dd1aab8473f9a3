"""The index of errors: every message that hybridflux raises or warns with, as it stands in the code, and where it comes from."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.site.stage import ROOT
from docs.site.words import plain, table

PACKAGE = ROOT / "hybridflux"
SHORTEST = 12  # letters of a message that says something by itself


@dataclass(frozen=True)
class Message:
    """One place that raises or warns.

    Attributes:
        kind: name of the error's class; `warning` for a warning.
        text: the message, with `…` for what it fills in.
        module: dotted name of the module.
    """

    kind: str
    text: str
    module: str


def messages() -> list[Message]:
    """All of the package whose text stands where it is raised."""
    return [one for path in sorted(PACKAGE.rglob("*.py")) for one in _of_file(path)]


def _of_file(path: Path) -> Iterator[Message]:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts[1:]).removesuffix(".__init__")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else node.value if isinstance(node, ast.Expr) else None
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name = ast.unparse(call.func)
        if isinstance(node, ast.Expr) and name not in ("warnings.warn", "warn"):
            continue
        text = template(call.args[-1] if "OSError" in name and len(call.args) > 1 else call.args[0])
        if len(re.sub(r"[^A-Za-z]", "", text)) >= SHORTEST:
            yield Message("warning" if isinstance(node, ast.Expr) else name.rpartition(".")[2], text, module)


def template(node: ast.expr) -> str:
    """A message with `…` for what is filled in.

    >>> template(ast.parse("f'{path}: no column `{name}`; add it'", mode="eval").body)
    '…: no column `…`; add it'
    """
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return template(node.left) + template(node.right)
    return "…" if isinstance(node, ast.expr) else ""


def classes() -> list[tuple[str, str, str, str]]:
    """Name, base, module and meaning of each class of errors and warnings."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            bases = [ast.unparse(base) for base in getattr(node, "bases", ())]
            of_errors = any(re.search("Error|Warning|Exception|Refused", base) for base in bases)
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and of_errors:
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                meaning = plain(_one_line(ast.get_docstring(node)))
                found.append((f"`{node.name}`", ", ".join(f"`{base}`" for base in bases), f"`{module}`", meaning))
    return found


def _one_line(text: str | None) -> str:
    return (text or "").split("\n\n")[0].replace("\n", " ")


def page() -> str:
    """The page, by room."""
    rooms: dict[str, dict[str, list[Message]]] = {}
    for one in dict.fromkeys(messages()):
        room = one.module.split(".")[0]
        rooms.setdefault(room, {}).setdefault(one.module, []).append(one)
    parts = [
        "# Errors and their cures",
        "A message names the file, the value and the cure. Here they all stand, with … for what is filled in; search for a few "
        "words of yours, without "
        "the names. On the command line a mistake that you can mend is one line and exit code 2; `--debug` shows where it comes "
        "from. A traceback without "
        "`--debug` is a fault of hybridflux.",
        "Sizes are [limited](limits.md): what passes a limit is refused as `Refused`.",
        "## Classes",
        table(["class", "base", "module", "meaning"], classes()),
    ]
    for room, modules in sorted(rooms.items()):
        parts.append(f"## {room}")
        for module, found in modules.items():
            lines = [f"- *{one.kind}* {plain(' '.join(one.text.split()))}" for one in found]
            parts += [f"### {module} {{ #{module.replace('.', '-')} }}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def limits_page() -> str:
    """What may come from outside, and the variable that raises each limit."""
    from hybridflux import limits

    known = [one for one in vars(limits).values() if isinstance(one, limits.Limit)]
    rows = [(f"`{one.variable}`", plain(one.what), f"{one.default:,} {one.unit}") for one in known]
    text = (
        "How large what comes from outside may be. Set the variable in the environment where your data are really larger; "
        "why: [security](../security.md)."
    )
    return "\n\n".join(["# Limits", text, table(["variable", "of", "default"], rows)]) + "\n"
