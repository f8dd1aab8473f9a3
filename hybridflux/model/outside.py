"""Code from outside the package: how a saved model names it, and where alone such a name is looked for.

A file never brings code. It names `module:object`, and that is found only in a module that is imported already, in a file that the user
names (`--with my_processes.py`), or in an installed package that announces it (entry points `hybridflux.processes`,
`hybridflux.outputs`); and only what was declared there for hybridflux is taken: a function by `hf.process`, a `Memory`, a source, an
error, an output of a map. Nothing else of such a module runs.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from hybridflux.model.noise import AbstractNoise
from hybridflux.model.sources import AbstractSource
from hybridflux.process.call import Memory
from hybridflux.process.declare import is_declared
from hybridflux.registry import installed

KINDS = ("processes", "outputs")
_LOADED: dict[str, Path] = {}


class ChangedProcess(UserWarning):
    """The source of a process is not the one that the file was written with."""


def load(files: Iterable[str | Path]) -> tuple[ModuleType, ...]:
    """Import files of one's own under their names without `.py`, as `--with` does; a file that has changed is imported again.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no Python file, does not run, or has the name of a module that is imported from elsewhere.
    """
    return tuple(_load(Path(file)) for file in files)


def loaded() -> dict[str, str]:
    """Files imported by `load` -> SHA-256 of their text; another process loads them before it reads a model or run that names them."""
    return {str(path): _sha256(path.read_bytes()) for path in _LOADED.values()}


def _load(path: Path) -> ModuleType:
    if not path.exists():
        raise FileNotFoundError(f"no file {path}; name the Python file that holds your processes")
    name = path.stem
    if path.suffix != ".py" or not name.isidentifier():
        raise ValueError(f"{path} cannot be imported; name a Python file of letters, digits and underscores: my_processes.py")
    before = sys.modules.get(name)
    if before is not None and name not in _LOADED:
        raise ValueError(f"{path} has the name of a module, {getattr(before, '__file__', name)}, that is imported already; rename the file")
    digest = _sha256(path.read_bytes())
    if before is not None and _LOADED[name] == path.resolve() and before.__hybridflux_sha256__ == digest:
        return before
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py file has a loader
    sys.modules[name] = module = module_from_spec(spec)
    vars(module)["__hybridflux_sha256__"] = digest
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        del sys.modules[name]
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"{path} does not run: {type(error).__name__}: {str(error)[:200]}") from error
    _LOADED[name] = path.resolve()
    return module


def reference(thing) -> str:
    """`module:object` of a declared function, a memory, or a class of sources or errors.

    Raises:
        ValueError: a file could not name it, with the cure.
    """
    if isinstance(thing, Memory):
        homes = {fn.__module__ for fn in thing.functions}
        names = [(home, name) for home in homes for name, value in vars(sys.modules[home]).items() if value is thing]
        if not names:
            raise ValueError("this model cannot be saved: a memory has no name in the file of its functions; assign it to one there")
        home, name = min(names)
    else:
        home, name = getattr(thing, "__module__", None) or "", getattr(thing, "__qualname__", type(thing).__name__)
        if not _is_ours(thing):
            raise ValueError(f"this model cannot be saved: `{name}` is not declared as a process; write @hf.process above it")
        if getattr(sys.modules.get(home), name, None) is not thing:
            raise ValueError(f"this model cannot be saved: `{name}` has no name in its file; define it at the top level")
    return f"{file_name(home)}:{name}"


def file_name(module: str) -> str:
    """The name under which a module can be imported again; of a script that is being run, that of its file."""
    if module != "__main__":
        return module
    file = getattr(sys.modules["__main__"], "__file__", None)
    if file is None:
        raise ValueError("a process written into a notebook or prompt cannot be saved; write it into a file and import it")
    return Path(file).stem


def resolve(text: str):
    """What a reference names.

    Raises:
        ValueError: its module is neither imported nor named nor installed, or has no such process.
    """
    home, _, name = text.partition(":")
    module = module_named(home)
    if module is None:
        raise ValueError(
            f"this model has `{text[:100]}`, from outside hybridflux; if you trust it, name its file, `--with {home[:60]}.py`, or in "
            f"Python import {home[:60]} first"
        )
    found = vars(module).get(name)
    if not _is_ours(found):
        raise ValueError(f"`{text[:100]}` is no process, memory, source or error declared for hybridflux; this file is refused")
    return found


def module_named(home: str) -> ModuleType | None:
    """The module of a reference if it may be used: imported already, the script that runs, or announced by an installed package."""
    if home in sys.modules:
        return sys.modules[home]
    main = sys.modules.get("__main__")
    script = getattr(main, "__file__", None)
    if script and Path(script).stem == home:
        return main
    announced = {point.module for kind in KINDS for point in installed(kind).values()}
    return importlib.import_module(home) if home in announced else None


def _is_ours(thing) -> bool:
    if inspect.isclass(thing):
        return issubclass(thing, AbstractSource | AbstractNoise)
    return isinstance(thing, Memory) or is_declared(thing)


def fingerprint(thing) -> str:
    """SHA-256 of the source of a function, memory or class, and of the rows it brings."""
    parts = thing.functions if isinstance(thing, Memory) else (thing,)
    return _sha256("\n".join(f"{inspect.getsource(part)}{dict(getattr(part, 'rows', {}))}" for part in parts).encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
