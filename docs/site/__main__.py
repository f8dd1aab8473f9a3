"""Build the site into `site/`, offline: `python -m docs.site`. A warning ends it: a link without a target, a page outside of the menu."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from pathlib import Path

from docs.site import api, atlas, bibliography, catalog, commands, errors, parameters, tutorials
from docs.site.stage import ROOT, Stage

CACHE = ROOT / ".cache" / "docs"


def gather() -> Stage:
    """Write all pages into the folder that MkDocs reads."""
    folder = CACHE / "pages"
    shutil.rmtree(folder, ignore_errors=True)
    stage = Stage(folder)
    stage.documents()
    made = {
        **atlas.pages(), **atlas.pictures(), **parameters.pages(atlas.functions()), **api.pages(), **catalog.pages(),
        "reference/commands.md": commands.page(), "reference/errors.md": errors.page(), "reference/limits.md": errors.limits_page(),
        "reference/bibliography.md": bibliography.page(),
    }  # fmt: skip
    for place, content in made.items():
        stage.write(place, content)
    for done in tutorials.run_all(CACHE / "tutorials"):
        text, beside = done.page()
        stage.page(f"docs/{done.place.removesuffix('.md')}.py", text)
        for name, content in beside.items():
            stage.write(f"tutorials/{name}", content)
        stage.write(f"tutorials/{done.name}.ipynb", (CACHE / "tutorials" / f"{done.name}.ipynb").read_bytes())
        print(f"{done.place}: {done.seconds:.0f} s")
    stage.show_files()
    return stage


def main() -> None:
    """Gather the pages and let MkDocs make the site of them."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    began = time.perf_counter()
    stage = gather()
    print(f"pages: {time.perf_counter() - began:.0f} s")
    config = load_config(str(ROOT / "mkdocs.yml"), docs_dir=str(stage.folder), site_dir=str(ROOT / "site"), strict=True)
    config.nav = _with_all(config.nav, stage.folder)
    try:
        build(config)
    except Abort as stopped:
        sys.exit(f"the site was not built: {stopped}")
    print(f"the site is {ROOT / 'site' / 'index.html'}, built in {time.perf_counter() - began:.0f} s")


def _with_all(menu, folder: Path):
    """The menu with all pages of a folder where it says so: `results/*`."""
    if isinstance(menu, dict):
        return {title: _with_all(inside, folder) for title, inside in menu.items()}
    if isinstance(menu, list):
        parts = []
        for one in menu:
            parts += _pages_of(one, folder) if isinstance(one, str) and one.endswith("/*") else [_with_all(one, folder)]
        return parts
    return menu


def _pages_of(pattern: str, folder: Path) -> list[str]:
    """Pages of a folder, sorted without regard to capitals."""
    found = (path.relative_to(folder).as_posix() for path in folder.glob(pattern) if path.suffix == ".md")
    return sorted(found, key=str.lower)


if __name__ == "__main__":
    main()
