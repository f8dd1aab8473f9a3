"""Where each document of the repository stands on the site, and its links there.

A page is written so that its links work in the repository. On the site it stands elsewhere, so that its links are written again; what is
linked and is no page of its own, a source file or a folder, gets a page that shows it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
PROJECT = {"README.md": "project/readme.md", "CONTRIBUTING.md": "project/contributing.md", "CHANGELOG.md": "project/changelog.md",
           "benchmarks/README.md": "project/benchmarks.md", "data_catalog/regions": "reference/regions.md"}  # fmt: skip
"""Documents and folders outside `docs` -> their page."""
FOLDERS = {"docs": "", "experiments/results": "results"}
"""Folders of documents -> folder of the site."""
FILES = "files"
LANGUAGES = {".py": "python", ".toml": "toml", ".json": "json", ".csv": "text", "": "text"}
LINK = re.compile(r"(!?\[(?:[^\]\[]|\[[^\]]*\])*\]\()([^)\s]+)((?:\s+\"[^\"]*\")?\))")
LINK_OR_CODE = re.compile(rf"```.*?^[ ]*```|{LINK.pattern}|`[^`\n]*`", re.S | re.M)


def place_of(path: str) -> str:
    """The page of a file or folder of the repository.

    >>> place_of("docs/scale.md"), place_of("experiments/results/e06_sbc.md"), place_of("tests/outside/files/my_heat.py")
    ('scale.md', 'results/e06_sbc.md', 'files/tests/outside/files/my_heat.py.md')
    """
    if path in PROJECT:
        return PROJECT[path]
    if path.startswith("docs/tutorials/") and path.endswith(".py"):
        return path[len("docs/") : -len(".py")] + ".md"
    for folder, place in FOLDERS.items():
        if path.startswith(f"{folder}/") and PurePosixPath(path).suffix not in (".py", ""):
            return str(PurePosixPath(place) / path[len(folder) + 1 :])
    return f"{FILES}/{path}.md"


def relinked(text: str, source: str, place: str, shown: Callable[[str], None]) -> str:
    """A text with its links as they must be on the site.

    Args:
        text: Markdown.
        source: path of the document in the repository.
        place: its page on the site.
        shown: called with each path of the repository that is linked.

    >>> relinked("[scale](scale.md#memory) `[x](y)` [home](https://example.org)", "docs/regions.md", "regions.md", lambda path: None)
    '[scale](scale.md#memory) `[x](y)` [home](https://example.org)'
    >>> relinked("[E06](../experiments/results/e06_sbc.md)", "docs/regions.md", "regions.md", lambda path: None)
    '[E06](results/e06_sbc.md)'
    """

    def again(found: re.Match) -> str:
        before, target, after = found.groups()
        if target is None or re.match(r"[a-z]+:|#|/", target):
            return found[0]
        path, _, anchor = target.partition("#")
        meant = os.path.normpath(os.path.join(os.path.dirname(source), path))
        shown(meant)
        there = os.path.relpath(place_of(meant), os.path.dirname(place) or ".")
        return before + there + (f"#{anchor}" if anchor else "") + after

    return LINK_OR_CODE.sub(again, text)


class Stage:
    """The folder of pages that MkDocs reads."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.linked: set[str] = set()

    def write(self, place: str, content: str | bytes) -> None:
        """Write a page or a picture."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def page(self, source: str, text: str | None = None) -> None:
        """Write a document of the repository, by default as it stands there."""
        text = (ROOT / source).read_text(encoding="utf-8") if text is None else text
        place = place_of(source)
        self.write(place, relinked(text, source, place, self.linked.add))

    def documents(self) -> None:
        """All documents of the repository, and the pictures beside them."""
        for source in PROJECT:
            if (ROOT / source).is_file():
                self.page(source)
        for folder in FOLDERS:
            for path in sorted((ROOT / folder).rglob("*")):
                source = path.relative_to(ROOT).as_posix()
                if path.suffix == ".md":
                    self.page(source)
                elif path.suffix in (".png", ".svg", ".css", ".js"):
                    self.write(place_of(source), path.read_bytes())

    def show_files(self) -> None:
        """A page for each source file and folder that a page links; for what a folder holds as well."""
        waiting = sorted(self.linked)
        done: set[str] = set()
        while waiting:
            source = waiting.pop()
            path, place = ROOT / source, place_of(source)
            if source in done or not place.startswith(f"{FILES}/") or not path.exists():
                continue
            done.add(source)
            if path.is_dir():
                held = sorted(one for one in path.iterdir() if one.suffix in LANGUAGES and not one.name.startswith((".", "_")))
                lines = [f"- [{one.name}]({PurePosixPath(place).stem}/{one.name}.md)" for one in held]
                self.write(place, "\n".join([f"# {source}", "", *lines, ""]))
                waiting += [f"{source}/{one.name}" for one in held]
            elif path.suffix == ".md":
                self.write(place, relinked(path.read_text(encoding="utf-8"), source, place, waiting.append))
            else:
                fence = f"````{LANGUAGES.get(path.suffix, 'text')}\n{path.read_text(encoding='utf-8')}\n````\n"
                self.write(place, f"# {path.name}\n\n`{source}`\n\n{fence}")
