"""Methods by name, with settings given as text: `members=16`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import Field, fields
from typing import Any

from hybridflux.inference.methods import METHODS
from hybridflux.inference.methods.base import AbstractMethod, check_setting
from hybridflux.vocabulary import suggestion

WORDS = {"true": True, "yes": True, "false": False, "no": False}


def method_of(name: str, settings: Iterable[str] = ()) -> AbstractMethod:
    """A method with its settings.

    Args:
        name: of `METHODS`: of hybridflux, of an installed package, registered, or `module:Class` of an imported module.
        settings: texts `setting=value`, typed by the fields of the method; what is not given keeps its default.

    Raises:
        ValueError: an unknown method or setting (with what there is and its defaults), a setting given twice, or a value of the wrong
            type or outside its range.
    """
    kind = METHODS(name)
    if not (isinstance(kind, type) and issubclass(kind, AbstractMethod)):
        raise ValueError(f"`{name[:80]}` is no posterior method: it must be a class that inherits from hybridflux.AbstractMethod")
    there = {field.name: field for field in fields(kind)}
    given: dict[str, Any] = {}
    for text in settings:
        setting, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not value:
            example = next((f"; write --set {field.name}={field.default}" for field in there.values()), "; this method has none")
            raise ValueError(f"`{text[:60]}` is not a setting{example}")
        if setting not in there:
            known = ", ".join(f"{field.name}={field.default}" for field in there.values())
            raise ValueError(f"{name} has no setting `{setting[:30]}`; there are {known}.{suggestion(setting, there)}")
        if setting in given:
            raise ValueError(f"`{setting}` is set twice, to {given[setting]} and {value[:30]}; give it once")
        given[setting] = _typed(name, there[setting], value)
    return kind(**given)


def _typed(method: str, field: Field, value: str):
    kind: Any = type(field.default)
    try:
        typed = WORDS[value.lower()] if kind is bool else kind(value)
    except (ValueError, KeyError):
        typed = value
    check_setting(method, field, typed)
    return typed
