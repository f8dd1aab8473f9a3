"""Public names that are imported when they are first used, from the stub that editors and type checkers read (PEP 562, PEP 561)."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

_LINE = re.compile(r"^from (hybridflux[\w.]*) import (\w+) as \2$", re.MULTILINE)


def attach(package: str, file: str) -> tuple[Callable, Callable, list[str]]:
    """`__getattr__`, `__dir__`, `__all__` of a package whose stub `__init__.pyi` holds lines `from module import name as name`.

    Args:
        package: its `__name__`.
        file: its `__file__`.
    """
    home = {name: module for module, name in _LINE.findall(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))}

    def get(name: str):
        if name not in home:
            raise AttributeError(f"module `{package}` has no attribute `{name}`")
        module = import_module(home[name])
        found = sys.modules.get(f"{package}.{name}")  # a submodule of this name keeps it, as `process`, which is called as the decorator
        if found is None:
            found = getattr(module, name) if hasattr(module, name) else import_module(f"{home[name]}.{name}")
        setattr(sys.modules[package], name, found)
        return found

    return get, lambda: sorted({*vars(sys.modules[package]), *home}), list(home)
