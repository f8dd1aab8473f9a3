"""What is chosen by name: what hybridflux brings, what installed packages offer, what a user's own file adds.

A kind of thing (`KINDS`) has one registry, which command line, readers and methods ask. Three ways lead into it:

* hybridflux's own names, `name -> module:attribute`, imported when they are asked for;
* an entry point of an installed package in the group `hybridflux.<kind>`,
  `[project.entry-points."hybridflux.methods"]`
  `grid = "my_package:Grid"`;
* the decorator `register(kind, name)` in a module that the user imports, or names with `--with my_file.py`.

A name that is asked for is looked up among these and nothing else: a data file never names code. Where `references` are allowed, which are
typed by a user and never read from a file, `module:attribute` of a module that has been imported is found too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any

from hybridflux.limits import shown
from hybridflux.vocabulary import suggestion

KINDS = ("readers", "methods", "processes", "outputs", "baselines")
_ADDED: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}


def register(kind: str, name: str) -> Callable:
    """Add what is decorated under a name: `@register("methods", "grid")`.

    Args:
        kind: of `KINDS`.
        name: to choose it by; a reader has its room before it: `imagery.my-format`, `weather.my-station`.

    Raises:
        ValueError: there is no such kind, or another module has added this name.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no registry of `{kind[:40]}`; there are {', '.join(KINDS)}.{suggestion(kind, KINDS)}")

    def add(thing):
        before = _ADDED[kind].get(name)
        if before is not None and before.__module__ != thing.__module__:  # the same cell or file may run twice
            raise ValueError(f"{kind}: `{name}` was added by {before.__module__}, and again by {thing.__module__}; rename one")
        _ADDED[kind][name] = thing
        return thing

    return add


def installed(kind: str) -> dict[str, metadata.EntryPoint]:
    """Name -> entry point of the packages that are installed."""
    return {point.name: point for point in metadata.entry_points(group=f"hybridflux.{kind}")}


@dataclass(frozen=True)
class Registry:
    """All there is of one kind; `registry(name)` gives the thing itself.

    Attributes:
        kind: of `KINDS`.
        what: one of them in words, for messages.
        own: name -> `module:attribute` of hybridflux; nothing from outside replaces one.
        room: of readers: what stands before the name of one from outside, `imagery.`.
        references: whether `module:attribute` of an imported module may be asked for.
    """

    kind: str
    what: str
    own: Mapping[str, str]
    room: str = ""
    references: bool = False

    def names(self) -> list[str]:
        """Every name there is, those of hybridflux first."""
        outside = sorted({*installed(self.kind), *_ADDED[self.kind]})
        return list(dict.fromkeys([*self.own, *(name.removeprefix(self.room) for name in outside if name.startswith(self.room))]))

    def __call__(self, name: str | None) -> Any:
        """What has this name.

        Raises:
            ValueError: nothing has; the message lists the names and the nearest one. Or an installed package does not give what it offers.
        """
        name = str(name)
        if name in self.own:
            return _attribute(self.own[name])
        if self.room + name in _ADDED[self.kind]:
            return _ADDED[self.kind][self.room + name]
        if self.references and ":" in name:
            return self._imported(name)
        point = installed(self.kind).get(self.room + name)
        if point is None:
            known = self.names()
            raise ValueError(f"no {self.what} `{shown(name)}`.{suggestion(name, known)} There are {', '.join(known)}")
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            package = point.dist.name if point.dist else "a package"
            raise ValueError(f"{package} offers the {self.what} `{name}` as {point.value}, which fails: {shown(error)}") from error

    def _imported(self, reference: str) -> Any:
        module, _, attribute = reference.partition(":")
        if module not in sys.modules:
            raise ValueError(f"the module `{shown(module)}` of `{shown(reference)}` is not imported: name its file, --with {module}.py")
        if not hasattr(sys.modules[module], attribute):
            near = suggestion(attribute, dir(sys.modules[module]))
            raise ValueError(f"the module `{module}` has no `{shown(attribute)}`.{near}")
        return getattr(sys.modules[module], attribute)


def _attribute(reference: str) -> Any:
    module, attribute = reference.split(":")
    return getattr(import_module(module), attribute)
