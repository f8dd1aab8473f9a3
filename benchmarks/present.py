"""What a benchmark compares with and a machine may lack: it is left out with a line, and the rest is measured."""

from __future__ import annotations

import importlib.util
import shutil


def package(module: str, what: str, name: str = "") -> bool:
    """Whether a package can be imported; else a line says what is left out and how to get it.

    Args:
        module: to import.
        what: what it would be compared with.
        name: of the package, where it is not that of the module.
    """
    if importlib.util.find_spec(module) is not None:
        return True
    print(f"{what}: left out, {name or module} is not installed (pip install {name or module})", flush=True)
    return False


def compiler(what: str) -> bool:
    """Whether there is gcc; else a line says what is left out."""
    if shutil.which("gcc"):
        return True
    print(f"{what}: left out, there is no gcc", flush=True)
    return False
