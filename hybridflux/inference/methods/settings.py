"""Methods by name, with settings given as text: `members=16`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from importlib import import_module

from hybridflux.inference.methods.base import AbstractMethod, check_setting
from hybridflux.vocabulary import suggestion

METHODS = {"map": "MAP", "ensemble": "Ensemble", "laplace": "LaplaceApproximation", "svi": "SVI", "nuts": "NUTS"}


def method_of(name: str, settings: Iterable[str] = ()) -> AbstractMethod:
    """A method with its settings.

    Args:
        name: of `METHODS`.
        settings: texts `setting=value`, typed by the fields of the method; what is not given keeps its default.

    Raises:
        ValueError: an unknown method or setting (with what there is and its defaults), a setting given twice, or a value of the wrong
            type or outside its range.
    """
    if name not in METHODS:
        raise ValueError(f"no method `{name[:30]}`; there are {', '.join(METHODS)}.{suggestion(name, METHODS)}")
    kind = getattr(import_module("hybridflux.inference.methods"), METHODS[name])
    defaults = {field.name: field.default for field in fields(kind)}
    given = {}
    for text in settings:
        setting, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not value:
            raise ValueError(f"`{text[:60]}` is not a setting; write --set {next(iter(defaults))}={next(iter(defaults.values()))}")
        if setting not in defaults:
            there = ", ".join(f"{known}={default}" for known, default in defaults.items())
            raise ValueError(f"{name} has no setting `{setting[:30]}`; there are {there}.{suggestion(setting, defaults)}")
        if setting in given:
            raise ValueError(f"`{setting}` is set twice, to {given[setting]} and {value[:30]}; give it once")
        given[setting] = _typed(name, setting, value, defaults[setting])
    return kind(**given)


def _typed(method: str, setting: str, value: str, default):
    kind = type(default)
    try:
        typed = kind(value)
    except ValueError:
        typed = value
    check_setting(method, setting, typed, kind)
    return typed
