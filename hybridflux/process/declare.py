"""Processes of one's own: a function in the user's file brings its rows of the vocabulary and is checked as the package's are."""

from __future__ import annotations

import doctest
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from inspect import Parameter as Argument
from inspect import getmodule, signature
from itertools import product
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.process.call import arguments
from hybridflux.vocabulary import PARAMETERS, VARIABLES, Parameter, Variable, suggestion

MOST_CORNERS = 4096
Row = Parameter | Variable
DECLARED: dict[str, Row] = {}
"""Rows that were declared in this process, by name; for what is not given a model, as the description of a map."""


def process(
    fn: Callable | None = None,
    *,
    parameters: Iterable[Parameter] = (),
    variables: Iterable[Variable] = (),
    bounds: tuple[float, float] | None = None,
):
    """Declare a function of one's own a process: `@hf.process(parameters=[hf.Parameter("heat_half", "degC", ...)])`.

    The rows travel with the function and with every model that has it; nothing is written into the tables of the package. A model with
    such a function can be saved and mapped: its file names `module:function` and never holds code.

    Args:
        fn: keyword-only function whose arguments are names of the vocabulary or of its own rows.
        parameters: rows of parameters that the vocabulary does not have.
        variables: rows of states, diagnostics, covariates and targets that the vocabulary does not have.
        bounds: range of the result, which `check_process` tests.

    Raises:
        ValueError: a row has a name of the vocabulary, a parameter is not among the arguments, or an argument may be given by position.

    >>> @process(parameters=[Parameter("heat_half", "degC", "temperature of half light use", 38.0, 30.0, 45.0, 0.7, "made up")])
    ... def heat(*, tair, heat_half):
    ...     return 1.0 / (1.0 + jnp.exp(tair - heat_half))
    >>> float(heat(tair=38.0, heat_half=38.0)), tuple(own_rows(heat))
    (0.5, ('heat_half',))
    """
    rows: dict[str, Row] = {row.name: row for row in parameters} | {row.name: row for row in variables}

    def declare(fn: Callable) -> Callable:
        for name, row in rows.items():
            if name in VARIABLES or name in PARAMETERS:
                raise ValueError(f"`{fn.__name__}` declares `{name}`, which is a name of the vocabulary; use it, or choose another name")
            if isinstance(row, Parameter) and name not in arguments(fn):
                raise ValueError(f"`{fn.__name__}` declares the parameter `{name}`, which is not among its arguments")
        for argument in signature(fn).parameters.values():
            if argument.kind is not Argument.KEYWORD_ONLY or argument.default is not Argument.empty:
                raise ValueError(f"`{fn.__name__}`: write `*` before `{argument.name}`, without a default; processes are called by names")
        vars(fn).update(rows=MappingProxyType(rows), bounds=bounds)
        DECLARED.update(rows)
        return fn

    return declare if fn is None else declare(fn)


def is_declared(fn) -> bool:
    """Whether a function was declared by `process`."""
    return callable(fn) and isinstance(getattr(fn, "rows", None), Mapping)


def own_rows(fn: Callable) -> Mapping[str, Row]:
    """The rows that a function brings."""
    return getattr(fn, "rows") if is_declared(fn) else {}  # noqa: B009  set by `process`


def parameter(rows: Mapping[str, Row], name: str) -> Parameter:
    """The row of a name that must be one of a parameter.

    Raises:
        TypeError: it is one of a variable.
    """
    row = rows[name]
    if not isinstance(row, Parameter):
        raise TypeError(f"`{name}` is a variable, not a parameter")
    return row


@cache
def rows_of(fns: tuple[Callable, ...]) -> Mapping[str, Row]:
    """Rows of the vocabulary, and those that the functions bring.

    Raises:
        ValueError: two functions bring different rows of one name.
    """
    rows: dict[str, Row] = {**VARIABLES, **PARAMETERS}
    for fn in fns:
        for name, row in own_rows(fn).items():
            if rows.setdefault(name, row) != row:
                raise ValueError(f"`{fn.__name__}` and another process declare `{name}` differently; give one of the two another name")
    return rows


def check_process(fn: Callable, *, rows: Mapping[str, Row] | None = None, seed: int = 0) -> None:
    """Test a process as those of the package are tested; call it in a test of your own.

    The examples of its docstring run; its results are finite, inside its `bounds` and single precision everywhere within the bounds of its
    arguments; its slopes are finite at every corner of these bounds and not all zero for any parameter.

    Args:
        fn: a declared process, or one of the package.
        rows: where other processes declare what this one asks for, `model.rows`; by default the vocabulary and its own.
        seed: of the random points inside the bounds.

    Raises:
        ValueError: the first thing that does not hold, with the arguments where it does not.
    """
    rows = rows_of((fn,)) if rows is None else rows
    unknown = [name for name in arguments(fn) if name not in rows]
    if unknown:
        raise ValueError(f"`{fn.__name__}` asks for `{unknown[0]}`, which has no row; declare it.{suggestion(unknown[0], rows)}")
    _check_examples(fn)
    asked = [rows[name] for name in arguments(fn)]
    limits = [(row.lower, row.upper) if isinstance(row, Parameter) else row.bounds for row in asked]
    random = np.random.default_rng(seed)
    corners = np.array(list(product(*limits)) if 2 ** len(limits) <= MOST_CORNERS else [])
    inside = np.array([random.uniform(low, high, 1000) for low, high in limits]).T
    points = np.concatenate([part for part in (corners, inside) if len(part)]).astype(np.float32)
    columns = tuple(jnp.asarray(column) for column in points.T)
    results = jax.tree.leaves(_total(fn, *columns, whole=True))
    low, high = getattr(fn, "bounds", None) or (-np.inf, np.inf)
    for result in results:
        result = np.broadcast_to(result, len(points))
        if result.dtype != np.float32:
            raise ValueError(f"`{fn.__name__}` gives {result.dtype} of float32; use jax.numpy and Python numbers")
        wrong = ~np.isfinite(result) | (result < low) | (result > high)
        if wrong.any():
            at = dict(zip(arguments(fn), points[wrong.argmax()].tolist(), strict=True))
            raise ValueError(f"`{fn.__name__}` is {result[wrong.argmax()]} at {at}; it must be finite, and from {low} to {high}")
    slopes = jax.grad(lambda *values: _total(fn, *values), argnums=tuple(range(len(columns))))(*columns)
    for name, slope in zip(arguments(fn), slopes, strict=True):
        wrong = ~np.isfinite(slope)
        if wrong.any():
            at = dict(zip(arguments(fn), points[wrong.argmax()].tolist(), strict=True))
            raise ValueError(f"the slope of `{fn.__name__}` along `{name}` is not finite at {at}; guard what is divided or rooted")
        if isinstance(rows[name], Parameter) and not np.any(slope):
            raise ValueError(f"`{name}` changes nothing in `{fn.__name__}`: its slope is zero everywhere")


def _total(fn: Callable, *values, whole: bool = False):
    """All results of a process, or their sum."""
    found = fn(**dict(zip(arguments(fn), values, strict=True)))
    return found if whole else sum(jnp.sum(one) for one in jax.tree.leaves(found))


def _check_examples(fn: Callable) -> None:
    module = getmodule(fn)
    for test in doctest.DocTestFinder(recurse=False).find(fn, fn.__name__, globs=dict(vars(module)) if module else {}):
        said: list[str] = []
        if doctest.DocTestRunner(verbose=False).run(test, out=said.append).failed:
            raise ValueError(f"an example of `{fn.__name__}` does not hold:\n{''.join(said)}")
