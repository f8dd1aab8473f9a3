"""What a run is asked to keep: outputs read from a record or a command line, and looked at before any work."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass

import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.causes import LEAF_DRIVERS, USUAL, departure_name
from hybridflux.model.attribution import AgainstUsual
from hybridflux.model.flux import HybridFlux
from hybridflux.model.outside import module_named
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.drivers.dissimilarity import Dissimilarity
from hybridflux.region.drivers.map_periods import mapped_days
from hybridflux.region.kernels.contract import Static, Today
from hybridflux.region.outputs.base import GROUPS, Output
from hybridflux.region.outputs.period_maps import PeriodMaps
from hybridflux.registry import Registry
from hybridflux.vocabulary import suggestion

OUTPUTS = Registry(
    "outputs", "output of a map",
    {
        name: f"hybridflux.region.outputs:{name}"
        for name in ("PeriodMaps", "DailyMaps", "ZoneTotals", "DailySeries", "AnomalyMaps", "TrendMaps", "PixelTotals", "Applicability")
    }
    | {"CoarseDaily": "hybridflux.products.coarse_daily:CoarseDaily"}
    | {
        name: f"hybridflux.products.drought_outputs:{name}"
        for name in ("DroughtTotals", "DroughtSeries", "DroughtMaps", "DroughtPixels")
    }
    | {"LeafTotals": "hybridflux.products.drought_leaves:LeafTotals"},
)  # fmt: skip
"""Outputs by name: those of hybridflux, of installed packages, of files that the user loads."""
SMALL = 2  # draws, and pixels of a block, of a rehearsal


def class_of(name: str) -> type[Output]:
    """The class of an output: one of `OUTPUTS`, or one of the user's as `module:Class`, as a record of a run has it.

    A file never brings code: a module that is not there already is not imported.

    Raises:
        ValueError: there is none of that name; says what to do.
    """
    home, colon, attribute = name.partition(":")
    if colon and module_named(home) is None:
        raise ValueError(f"the output `{name}` is from outside hybridflux; if you trust it, give `--with {home}.py`, or import it")
    found = getattr(module_named(home), attribute, None) if colon else OUTPUTS(name)
    if not (isinstance(found, type) and issubclass(found, Output)):
        raise ValueError(f"`{name}` is no output: a class with the base hybridflux.region.outputs.Output")
    return found


def outputs_of(rows: Iterable[Mapping]) -> tuple[Output, ...]:
    """Outputs from what `Output.to_json` wrote.

    Raises:
        ValueError: a class or a field that there is not.
    """
    found = []
    for row in rows:
        fields = {name: _as_tuple(value) for name, value in row.items() if name != "output"}
        try:
            found.append(class_of(row["output"])(**fields))
        except TypeError as error:
            raise ValueError(f"the output `{row['output']}` cannot be made of {fields}: {error}") from error
    return tuple(found)


def read(text: str) -> Output:
    """The output that a command line names: a quantity of the model for its maps, a class, or `Class=quantity`.

    >>> read("evapotranspiration"), read("ZoneTotals=evapotranspiration").name
    (PeriodMaps(quantities=('evapotranspiration',), quantiles=(0.05, 0.5, 0.95)), 'totals_evapotranspiration')
    """
    name, equals, quantity = text.partition("=")
    if equals:
        return class_of(name)(quantity)
    return class_of(name)() if ":" in name or name in OUTPUTS.names() else PeriodMaps(name)


def quantities_of(model: HybridFlux, usual: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of all that a model knows of a day: drivers, parameters, states, what is read of them, diagnostics, fluxes.

    Args:
        model: that is mapped.
        usual: drivers that have a usual value, where it is walked against the usual year.
    """
    walked = AgainstUsual(model, usual, lambda *_: {}) if usual else model  # their parameters are given here

    def day(today, parameters):
        state, diagnostics = walked.advance(walked.start(today, parameters), today, parameters)
        today = today | diagnostics
        return {**walked.seen(state, today, parameters), **walked.exchange(state, today, parameters)}

    number = jax.ShapeDtypeStruct((), jnp.float32)
    beside = (*(USUAL + name for name in usual), *map(departure_name, LEAF_DRIVERS)) if usual else ()
    names = (*model.needs(), *beside)
    return tuple(jax.eval_shape(day, dict.fromkeys(names, number), dict.fromkeys(model.sources, number)))


def check_outputs(keep: Sequence[Output], model: HybridFlux, calendar: Calendar, usual: Sequence[str] = ()) -> None:
    """Refuse outputs that would fail in the middle of a run, or spoil one another; `usual` as for `quantities_of`.

    Raises:
        ValueError: no output, one that cannot be written into a record, two of one name, a quantity that the model does not have,
            arrays that are not as they are declared.
    """
    if not keep:
        raise ValueError("`keep` is empty: a run keeps at least one output")
    known, names, arrays = quantities_of(model, usual), set(), set()
    for output in keep:
        if not (isinstance(output, Output) and is_dataclass(output) and output.__hash__):
            raise ValueError(f"{output!r} is no output: it is a frozen dataclass with the base hybridflux.region.outputs.Output")
        name = output.name
        if outputs_of(json.loads(json.dumps([output.to_json()], default=str))) != (output,):
            raise ValueError(f"the output `{name}` cannot be written into run.json: its fields are numbers, texts and tuples of them")
        if name in names or not name.isidentifier():
            raise ValueError(f"two outputs are called `{name}`" if name in names else f"`{name}` is no name of an output: letters and _")
        names.add(name)
        for wanted in output.reads:
            if wanted not in known:
                listed = ", ".join(sorted(known, key=lambda one: (one in model.sources, one in model.needs())))
                raise ValueError(f"the output `{name}` reads `{wanted}`, which the model does not have.{suggestion(wanted, known)} "
                                 f"It has {listed}")
        for array in output.arrays(calendar):
            if array.group not in GROUPS or array.key in arrays or not array.largest > 0:
                raise ValueError(
                    f"the array `{array.key}` of the output `{name}` is there twice" if array.key in arrays
                    else f"the array `{array.key}` of the output `{name}`: its group is one of {', '.join(GROUPS)}, `largest` above 0"
                )  # fmt: skip
            arrays.add(array.key)
        _rehearse(output, calendar)


def _rehearse(output: Output, calendar: Calendar) -> None:
    """Trace an output without computing anything: what it carries keeps its shape, and it gives the arrays that it declares."""
    months, name = len(calendar.months), output.name
    of_years = tuple(calendar.years.tolist()), tuple(mapped_days(calendar, "annual").tolist())
    static = Static(SMALL, SMALL, len(calendar.mapped), calendar.months_of_years, (), (), (), (output,), *of_years)

    def block(values):
        carry = output.begin(static)
        moved = output.day(carry, {one: values for one in output.reads}, Today(jnp.int32(0), values[0]))
        ended, of_month = output.month(moved, {one: values for one in output.sums})
        for what, after in (("day", moved), ("month", ended)):
            if jax.tree.map(lambda x: (x.shape, x.dtype), after) != jax.tree.map(lambda x: (x.shape, x.dtype), carry):
                raise ValueError(f"`{what}` carries on {after}, which is not of the shape and type of what `begin` gave, {carry}")
        many = jax.tree.map(lambda x: jnp.broadcast_to(x, (months, *x.shape)), (dict(of_month), {one: values for one in output.sums}))
        return dict(output.end(ended, *many, static))

    try:
        kept = jax.eval_shape(block, jax.ShapeDtypeStruct((SMALL, SMALL), jnp.float32))
    except Exception as error:
        raise ValueError(f"the output `{name}` cannot be computed: {type(error).__name__}: {error}") from error
    outside_kernel = output.of_dissimilarity(Dissimilarity(*np.zeros((2, len(calendar.years), SMALL)), np.ones(len(calendar.years))))
    for array in (one for one in output.arrays(calendar) if one.key not in outside_kernel):
        shape = len(mapped_days(calendar, array.group)), SMALL
        if array.key not in kept or kept[array.key].shape != shape:
            found = f"with the shape {kept[array.key].shape}" if array.key in kept else f"among {', '.join(kept) or 'nothing'}"
            raise ValueError(f"the output `{name}` declares `{array.key}` [period, n] = {shape}, and gives it {found}")


def _as_tuple(value):
    return tuple(_as_tuple(one) for one in value) if isinstance(value, list) else value
