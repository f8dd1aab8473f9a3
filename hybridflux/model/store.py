"""A composed model as JSON and back: functions by name, sources by class. No pickle."""

from __future__ import annotations

from dataclasses import asdict

import jax
import jax.numpy as jnp

from hybridflux.model import noise as noises
from hybridflux.model import sources as kinds
from hybridflux.model.flux import HybridFlux
from hybridflux.model.soil_water import SoilWater
from hybridflux.model.tree import learned, with_learned
from hybridflux.process import light, respiration, stress, water
from hybridflux.process.call import Memory
from hybridflux.vocabulary import Covariate

_ROOMS = {"light": light, "stress": stress, "respiration": respiration, "water": water}
_NOISES = {"Laplace": noises.Laplace, "StudentT": noises.StudentT, "SoilWater": SoilWater}
VERSION = 1


def _function_name(fn) -> str:
    room, name = (getattr(fn, "__module__", None) or "").rpartition(".")[2], getattr(fn, "__name__", type(fn).__name__)
    if getattr(_ROOMS.get(room), name, None) is not fn:
        raise ValueError(f"`{name}` is not a function of hybridflux.process, so this model cannot be saved; add it to process/")
    return f"{room}.{name}"


def _memory_name(memory) -> str:
    for room_name, room in _ROOMS.items():
        for name, value in vars(room).items():
            if value is memory:
                return f"{room_name}.{name}"
    raise ValueError("a memory of this model is not one of hybridflux.process, so it cannot be saved; add it to process/")


def _lookup(name: str):
    room, _, attribute = name.partition(".")
    found = None if room not in _ROOMS or attribute.startswith("_") else vars(_ROOMS[room]).get(attribute)
    physics = isinstance(found, Memory) or (callable(found) and getattr(found, "__module__", None) == _ROOMS[room].__name__)
    if not physics:  # nor a name that such a file only imports: a specification runs no code but the physics
        raise ValueError(f"this file asks for the process `{name[:100]}`, which this version of hybridflux does not have")
    return found


def _source_spec(source) -> dict:
    if type(source).__module__ != kinds.__name__:
        raise ValueError(f"a {type(source).__name__} source cannot be saved; take one of Fixed, Given, Shared, PerClass, Neural, Pooled")
    match source:
        case kinds.Fixed():
            return {"kind": "Fixed", "value": None if source.constant is None else source.constant.tolist()}
        case kinds.Given():
            return {"kind": "Given", "name": source.name}
        case kinds.Shared():
            return {"kind": "Shared"}
        case kinds.PerClass():
            return {"kind": "PerClass"}
        case kinds.Neural():
            spec = {"kind": "Neural", "inputs": list(source.inputs), "width": int(source.width), "reach": float(source.reach)}
            return spec | ({"own": [asdict(covariate) for covariate in source.own]} if source.own else {})
        case kinds.Pooled():
            return {"kind": "Pooled", "source": _source_spec(source.source), "by": source.by, "spread": float(source.spread)}
    raise ValueError(f"a {type(source).__name__} source cannot be saved")


def _named(name: str) -> str | Covariate:
    """A name of a spec, which was checked when the model was composed."""
    try:
        kinds.declared(name)
    except KeyError:
        return Covariate(name)
    return name


def _source_from(spec: dict):
    match spec["kind"]:
        case "Fixed":
            return kinds.Fixed(spec["value"])
        case "Given":
            return kinds.Given(_named(spec["name"]))
        case "Shared":
            return kinds.Shared()
        case "PerClass":
            return kinds.PerClass()
        case "Neural":
            own = {row["name"]: Covariate(**row) for row in spec.get("own", ())}
            return kinds.Neural(*(own.get(name, name) for name in spec["inputs"]), width=spec["width"], reach=spec["reach"])
        case "Pooled":
            return kinds.Pooled(_source_from(spec["source"]), by=spec["by"], spread=spec["spread"])
    raise ValueError(f"unknown kind of source `{spec['kind']}` in this file")


def to_spec(model: HybridFlux) -> dict:
    """What a model is made of, without what it learned, as JSON types.

    Raises:
        ValueError: a process, source or error of the model is not one of hybridflux, so that a file could not name it.
    """
    for noise in model.noise.values():
        if _NOISES.get(type(noise).__name__) is not type(noise):
            raise ValueError(f"a {type(noise).__name__} error cannot be saved; take one of {', '.join(_NOISES)}")
    return {
        "version": VERSION,
        "gpp": [_function_name(fn) for fn in model.gpp],
        "reco": [_function_name(fn) for fn in model.reco],
        "memory": [_memory_name(memory) for memory in model.memory],
        "sources": {name: _source_spec(source) for name, source in model.sources.items()},
        "noise": {
            name: {
                "kind": type(noise).__name__,
                "weight": float(noise.weight),
                "sources": {parameter: _source_spec(source) for parameter, source in noise.sources.items()},
            }
            for name, noise in model.noise.items()
        },
    }


def from_spec(spec: dict) -> HybridFlux:
    """The model of a spec, with everything learned at the prior median.

    Raises:
        ValueError: another version, or a process or source this version does not have.
    """
    if spec.get("version") != VERSION:
        raise ValueError(f"model spec of version {spec.get('version')}, this hybridflux reads version {VERSION}")
    noise = {}
    for name, row in spec["noise"].items():
        told = {parameter: _source_from(source) for parameter, source in row["sources"].items()}
        parts = {parameter.removeprefix("noise_").removeprefix("swc_"): source for parameter, source in told.items()}
        noise[name] = _NOISES[row["kind"]](**parts, weight=row["weight"])
    model = HybridFlux(
        gpp=tuple(_lookup(name) for name in spec["gpp"]),
        reco=tuple(_lookup(name) for name in spec["reco"]),
        memory=tuple(_lookup(name) for name in spec["memory"]),
        sources={name: _source_from(source) for name, source in spec["sources"].items()},
        noise=noise,
    )
    return with_learned(model, jax.tree.map(jnp.zeros_like, learned(model)))
