"""The signatures of the physics are the declaration: every name in them is a row, and every row is used and complete."""

from inspect import Parameter as Argument
from inspect import getmembers, isfunction, signature

import pytest

from hybridflux.process import Memory, deep_water, direct, light, respiration, stress, vegetation, water
from hybridflux.process.call import arguments
from hybridflux.vocabulary import HISTORY_DAYS, PARAMETERS, PLANT_TYPE_NAMES, PLANT_TYPES, UNVEGETATED, VARIABLES, suggestion, variable

MODULES = (light, stress, respiration, vegetation, water, deep_water, direct)
FUNCTIONS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": fn
    for module in MODULES
    for name, fn in getmembers(module, isfunction)
    if fn.__module__ == module.__name__ and not name.startswith("_")
}
MEMORIES = {name: memory for module in MODULES for name, memory in getmembers(module, lambda member: isinstance(member, Memory))}
CALLED = {
    **FUNCTIONS,
    **{f"{name}.{part}": getattr(memory, part) for name, memory in MEMORIES.items() for part in ("start", "step", "read")},
}

each_called = pytest.mark.parametrize("fn", CALLED.values(), ids=CALLED)
each_variable = pytest.mark.parametrize("row", VARIABLES.values(), ids=VARIABLES)
each_parameter = pytest.mark.parametrize("row", PARAMETERS.values(), ids=PARAMETERS)


@each_called
def test_every_argument_is_a_row(fn):
    for name in arguments(fn):
        assert name in VARIABLES or name in PARAMETERS, f"`{name}` has no row.{suggestion(name, {**VARIABLES, **PARAMETERS})}"


@each_called
def test_arguments_are_keyword_only_without_defaults(fn):
    for argument in signature(fn).parameters.values():
        assert argument.kind is Argument.KEYWORD_ONLY and argument.default is Argument.empty


@pytest.mark.parametrize("fn", FUNCTIONS.values(), ids=FUNCTIONS)
def test_every_function_states_its_unit_and_an_example(fn):
    first = fn.__doc__.splitlines()[0]
    assert "[" in first or fn in (water.bucket, deep_water.deep_bucket), "the first line is what + [unit]"
    assert ">>>" in fn.__doc__


@each_parameter
def test_every_parameter_is_used(row):
    used = {name for fn in CALLED.values() for name in arguments(fn)}
    assert row.name in used or row.name.startswith(("noise_", "structural_")), f"no process reads `{row.name}`"


@each_parameter
def test_parameter_row(row):
    assert row.units and row.meaning and row.source
    assert row.lower < row.typical < row.upper
    assert row.prior_sd > 0
    for plant, value in row.by_class.items():
        assert plant in PLANT_TYPES
        assert row.lower < value < row.upper, f"{row.name} of {plant} is outside its bounds"


@each_variable
def test_variable_row(row):
    lower, upper = row.bounds
    assert row.units and row.long_name
    assert lower < upper and lower <= row.centre <= upper
    assert row.scale > 0


def test_no_name_twice():
    assert not set(VARIABLES) & set(PARAMETERS)
    assert not {name for name in VARIABLES if name != variable(name).name}


def test_names_of_fluxnet_and_cf_are_given_once():
    for attribute in ("fluxnet", "cf_name"):
        given = [getattr(row, attribute) for row in VARIABLES.values() if getattr(row, attribute)]
        assert len(given) == len(set(given))


def test_histories_share_the_row_of_their_driver():
    assert all(variable(f"tair_{days}d") is VARIABLES["tair"] for days in HISTORY_DAYS)
    with pytest.raises(KeyError, match="Did you mean `tair`"):
        variable("tairr")


def test_plant_types_are_described():
    assert set(PLANT_TYPES) == set(PLANT_TYPE_NAMES) and UNVEGETATED <= set(PLANT_TYPES)
    assert len(PLANT_TYPES) == len(set(PLANT_TYPES))
