"""A composed model as JSON and back: functions by reference, sources and errors by class. No pickle, no code."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from hybridflux.model import noise, observe, outside, power_of, sources
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import all_sources, learned, with_learned
from hybridflux.model.noise import AbstractNoise
from hybridflux.model.observed import Observed
from hybridflux.model.sources import AbstractSource
from hybridflux.model.stacked import KINDS, Stacked
from hybridflux.process import deep_water, direct, light, observation, respiration, stress, water
from hybridflux.process.call import Memory
from hybridflux.vocabulary import CARBON, Parameter

_ROOMS = {
    "light": light, "stress": stress, "respiration": respiration, "water": water, "deep_water": deep_water, "observation": observation,
    "direct": direct,
}  # fmt: skip
VERSION = 2
STACKED_VERSION = 3
"""Of models of two kinds, which hold a specification of each."""


def _name(thing) -> str:
    """Short name of a process of the package, `module:object` of one from outside."""
    for room, module in _ROOMS.items():
        for name, value in vars(module).items():
            if value is thing and not name.startswith("_"):
                return f"{room}.{name}"
    return outside.reference(thing)


def _class_name(kind: type) -> str:
    return kind.__name__ if kind.__module__.startswith("hybridflux.") else outside.reference(kind)


def _process(text: str):
    """The process of a name; a specification runs no code but the physics."""
    if ":" in text:
        return outside.resolve(text)
    room, _, attribute = text.partition(".")
    found = None if room not in _ROOMS or attribute.startswith("_") else vars(_ROOMS[room]).get(attribute)
    if not isinstance(found, Memory) and getattr(found, "__module__", None) != getattr(_ROOMS.get(room), "__name__", ""):
        raise ValueError(f"this file asks for the process `{text[:100]}`, which this version of hybridflux does not have")
    return found


def _class(text: str, base: type, *rooms: ModuleType) -> Any:
    found = outside.resolve(text) if ":" in text else next((vars(room)[text] for room in rooms if text in vars(room)), None)
    if not (isinstance(found, type) and issubclass(found, base)) or text.startswith("Abstract"):
        raise ValueError(f"this file asks for a {text[:60]}, which this version of hybridflux does not have")
    return found


def _source_spec(source: AbstractSource) -> dict:
    inside = {name: _source_spec(value) if isinstance(value, AbstractSource) else value for name, value in source.spec().items()}
    return {"kind": _class_name(type(source)), **inside}


def _source_from(spec: dict) -> AbstractSource:
    inside: dict[str, Any] = dict(spec)
    inside |= {name: _source_from(value) for name, value in spec.items() if isinstance(value, dict) and "kind" in value}
    return _class(inside.pop("kind"), AbstractSource, sources, power_of).from_spec(inside)


def _sources_spec(sources: dict[str, AbstractSource]) -> dict:
    return {name: _source_spec(source) for name, source in sources.items()}


def _sources_from(spec: dict) -> dict[str, AbstractSource]:
    return {name: _source_from(source) for name, source in spec.items()}


def _observed_spec(one: Observed) -> dict:
    error = {"kind": _class_name(type(one.error)), "sources": _sources_spec(one.error.sources), "rows": [asdict(r) for r in one.error.rows]}
    parts = {"predict": _name(one.predict), "weight": one.weight, "column": one.column}
    return {**parts, "error": error, "sources": _sources_spec(one.sources)}


def _observed_from(target: str, spec: dict) -> Observed:
    kind, of_error = _class(spec["error"]["kind"], AbstractNoise, noise), _sources_from(spec["error"]["sources"])
    parts = {part: of_error[name] for part, name in kind.PARTS.items() if name in of_error}
    error = kind(**parts, rows=tuple(Parameter(**row) for row in spec["error"]["rows"]))
    own = _sources_from(spec["sources"])
    return Observed(target, _process(spec["predict"]), error, spec["weight"], sources=own, column=spec["column"])


def to_spec(model: HybridFlux) -> dict:
    """What a model is made of, without what it learned, as JSON types.

    Raises:
        ValueError: a process, source or error of the model is not declared at the top level of a file, so that no file could name it.
    """
    if isinstance(model, Stacked):
        share = [round(float(part), 6) for part in model.share]
        return {"version": STACKED_VERSION, "kinds": {kind: to_spec(one) for kind, one in model.kinds().items()}, "share": share}
    return {
        "version": VERSION,
        "gpp": [_name(fn) for fn in model.gpp],
        "reco": [_name(fn) for fn in model.reco],
        "memory": [_name(memory) for memory in model.memory],
        "sources": _sources_spec(model.sources),
        "observed": {target: _observed_spec(one) for target, one in model.observed.items()},
        "outside": _fingerprints(model),
    }


def _fingerprints(model: HybridFlux) -> dict[str, str]:
    """Reference of everything from outside the package -> hash of its source."""
    observed = model.observed.values()
    processes = (*model.gpp, *model.reco, *model.memory, *(one.predict for one in observed))
    classes = (*(type(source) for _, source in all_sources(model)), *(type(one.error) for one in observed))
    named = {_name(thing): thing for thing in processes} | {_class_name(kind): kind for kind in classes}
    return {name: outside.fingerprint(thing) for name, thing in named.items() if ":" in name}


def from_spec(spec: dict) -> HybridFlux:
    """The model of a spec, with everything learned at the prior median.

    A process from outside whose source has changed since is a warning that names it.

    Raises:
        ValueError: another version, or a process or source that this version does not have or that has not been imported.
    """
    if spec.get("version") == STACKED_VERSION:
        process, network = (from_spec(spec["kinds"][kind]) for kind in KINDS)
        return Stacked(process, network, spec["share"])
    if spec.get("version") == 1:
        spec = _of_version_1(spec)
    if spec.get("version") != VERSION:
        raise ValueError(f"model spec of version {spec.get('version')}, this hybridflux reads versions {VERSION} and {STACKED_VERSION}")
    model = HybridFlux(
        gpp=tuple(_process(name) for name in spec["gpp"]),
        reco=tuple(_process(name) for name in spec["reco"]),
        memory=tuple(_process(name) for name in spec["memory"]),
        sources=_sources_from(spec["sources"]),
        observed=[_observed_from(target, one) for target, one in spec["observed"].items()],
    )
    changed = [text for text, was in spec.get("outside", {}).items() if outside.fingerprint(outside.resolve(text)) != was]
    if changed:
        warnings.warn(
            f"the source of {', '.join(changed)} is not the one that this file was written with; take that source, or fit again",
            outside.ChangedProcess,
            stacklevel=2,
        )
    return with_learned(model, jax.tree.map(jnp.zeros_like, learned(model)))


def _of_version_1(spec: dict) -> dict:
    """The present form of a spec in which errors held the weight, and soil water the line of its sensor."""
    made: dict[str, Callable[..., Observed]] = {name: getattr(observe, name) for name in ("nee_day", "nee_night", *CARBON)}
    observed = {}
    for target, row in spec["noise"].items():
        one = _observed_spec((made | {"swc": observe.soil_water})[target]())
        old = {NAMES_OF_VERSION_1.get(name, name): source for name, source in row["sources"].items()}
        one["sources"] = {name: old.pop(name) for name in one["sources"]}
        kind = "Constant" if row["kind"] == "SoilWater" else row["kind"]
        observed[target] = one | {"weight": row["weight"], "error": {**one["error"], "kind": kind, "sources": old}}
    return {**spec, "version": VERSION, "observed": observed, "outside": {}}


NAMES_OF_VERSION_1 = {"noise_swc_error": "noise_sd"}


def leaf_of_version_1(name: str) -> str:
    """The present name of a learned leaf of a file of version 1."""
    if not name.startswith("noise."):
        return name
    _, target, _, parameter, *rest = name.split(".")
    own = "sources" if parameter in ("swc_wilting", "swc_field") else "error.sources"
    return ".".join(("observed", target, own, NAMES_OF_VERSION_1.get(parameter, parameter), *rest))
