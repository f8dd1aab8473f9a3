"""Elementwise parts of a function in one pass, against the same function by NumPy in float64 and by XLA."""

from functools import reduce
from operator import mul

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from hybridflux.model.evaluated import evaluated
from hybridflux.model.shapley import Moved, of_product
from hybridflux.region.kernels.networks import repeated
from hybridflux.region.kernels.passes import vector_code
from hybridflux.region.kernels.passes.one_pass import in_one_pass

DRAWS, N = 5, 48
SHAPE = DRAWS, N
ENDS = [-np.inf, -1e30, -90.0, -1e-30, 0.0, 1e-30, 90.0, 1e30, np.inf, np.nan]


def numbers(*shape, seed=0, least=-3.0, most=3.0):
    return np.random.default_rng(seed).uniform(least, most, shape).astype(np.float32)


def ffi_calls(function, *arguments) -> int:
    return str(jax.make_jaxpr(function)(*arguments)).count("ffi_call[")


FUNCTIONS = {
    "exp": (np.exp, jnp.exp, 1.0, 4e-7),
    "log": (np.log, jnp.log, 30.0, 2e-7),
    "tanh": (np.tanh, jnp.tanh, 3.0, 8e-7),
    "logistic": (lambda x: 1 / (1 + np.exp(-x)), jax.nn.sigmoid, 3.0, 1e-6),
    "sqrt": (np.sqrt, jnp.sqrt, 30.0, 2e-7),
    "abs": (np.abs, jnp.abs, 30.0, 0.0),
    "cube": (lambda x: x**3, lambda x: x**3, 3.0, 2e-7),
    "round": (np.round, jnp.round, 9.0, 0.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_a_number(name):
    exact, function, scale, rtol = FUNCTIONS[name]
    x = scale * numbers(*SHAPE)
    found = jax.jit(in_one_pass(function, SHAPE))(x)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found, exact(x.astype(float)), rtol=rtol)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_infinite_numbers_and_what_is_none(name):
    x = np.resize(np.float32(ENDS), SHAPE)
    _, function, _, rtol = FUNCTIONS[name]
    found, expected = jax.jit(in_one_pass(function, SHAPE))(x), jax.jit(function)(x)
    np.testing.assert_allclose(found, expected, rtol=max(rtol, 1e-6), atol=1e-37)


@pytest.mark.parametrize("function", [jnp.maximum, jnp.minimum, lambda x, y: jnp.where(x > y, x, y), lambda x, y: jnp.clip(x, -1.0, y)])
def test_what_is_no_number_stays_none(function):
    x, y = np.resize(np.float32(ENDS), SHAPE), np.resize(np.float32(ENDS), (N, DRAWS)).T
    np.testing.assert_array_equal(jax.jit(in_one_pass(function, SHAPE))(x, y), jax.jit(function)(x, y))
    np.testing.assert_array_equal(in_one_pass(lambda x: jnp.maximum(x, 2.0), SHAPE)(x), np.maximum(x, 2.0))


def several(x, row, column, one):
    """Results that share much, of numbers that are the same for rows, columns or all, with conditions among them."""
    inside, weight = jnp.exp(-x * row) + column / (one + 5.0), jnp.where(column > 0.0, column * column, 0.5)
    wet = (x > 0.0) & ~(column < row) | (one > 9.0)
    return {
        "sum": inside * weight + row / (1.0 + column**2), "chosen": jnp.where(wet, inside, -inside), "wet": wet, "share": x / (4.0 + row),
        "column": jnp.broadcast_to(column + 1.0, SHAPE), "small": column * 2.0, "constant": jnp.full(SHAPE, 3.0), "as it was": x,
    }  # fmt: skip


def test_several_results_are_one_pass():
    arguments = numbers(*SHAPE), numbers(DRAWS, 1, seed=1), numbers(N, seed=2), np.float32(0.7)
    together = in_one_pass(several, SHAPE)
    assert ffi_calls(together, *arguments) == 1
    found, expected = jax.jit(together)(*arguments), jax.jit(several)(*arguments)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=2e-6, atol=1e-6), found, expected)


def test_columns_that_make_no_whole_vectors_are_left_to_xla():
    arguments = numbers(DRAWS, 17), numbers(DRAWS, 1, seed=1)
    assert ffi_calls(in_one_pass(lambda x, row: jnp.exp(x) * row, (DRAWS, 17)), *arguments) == 0
    np.testing.assert_array_equal(in_one_pass(lambda x, row: x * row, (DRAWS, 17))(*arguments), arguments[0] * arguments[1])


def test_what_is_not_elementwise_is_asked_for_together_and_may_be_read_again():
    def function(x, weights, kept):
        share = jnp.exp(x) / (1.0 + jnp.exp(x))
        sums = {power: jnp.matmul(share**power, weights, precision=lax.Precision.HIGHEST) for power in (1, 2)}
        kept = lax.dynamic_update_index_in_dim(kept, sums[1], 1, 0)
        return sums, kept, share - share.mean(0), jnp.cumsum(share * x, axis=1)

    arguments = numbers(*SHAPE), numbers(N, seed=3), np.zeros((3, DRAWS), np.float32)
    together = in_one_pass(function, SHAPE)
    assert ffi_calls(together, *arguments) == 2  # one before the mean over draws is known, and one after
    found, expected = jax.jit(together)(*arguments), jax.jit(function)(*arguments)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=2e-6, atol=2e-6), found, expected)


def test_rows_of_what_is_made_in_the_pass_wait_for_it():
    """As in `LeafTotals`: departures are the same in all draws, and are read of the first."""

    def function(x, column, carry):
        departures = jnp.stack([jnp.broadcast_to(column * power, SHAPE)[0] for power in (1.0, 2.0)])
        mean = jnp.exp(x)
        return carry + mean[:, None] * departures, mean + 1.0

    arguments = numbers(*SHAPE), numbers(N, seed=10), numbers(DRAWS, 2, N, seed=11)
    together = in_one_pass(function, SHAPE, (N,))
    assert ffi_calls(together, *arguments) <= 2  # one for each shape
    found, expected = jax.jit(together)(*arguments), jax.jit(function)(*arguments)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=2e-6, atol=2e-6), found, expected)


def test_weighted_sums_over_columns_are_in_the_pass():
    x, weights = numbers(*SHAPE), numbers(N, seed=4, least=0.0)
    function = lambda x, weights: (jnp.exp(x) @ weights, jnp.exp(x) + 1.0)  # noqa: E731
    assert "dot_general" not in str(jax.make_jaxpr(in_one_pass(function, SHAPE))(x, weights))
    found, _ = in_one_pass(function, SHAPE)(x, weights)
    np.testing.assert_allclose(found, np.exp(x.astype(float)) @ weights.astype(float), rtol=1e-6)


def test_members_are_taken_for_their_draws():
    member = np.array([2, 0, 1, 1, 2], np.int32)
    pick = (member[:, None] == np.arange(3)).astype(np.float32)

    def function(raw, x):
        return repeated(pick, member, jnp.exp(raw)) * x

    raw, x = numbers(3, N, seed=5), numbers(*SHAPE)
    together = in_one_pass(function, SHAPE, (3, N))
    assert ffi_calls(together, raw, x) == 2 and "dot_general" not in str(jax.make_jaxpr(together)(raw, x))
    np.testing.assert_allclose(jax.jit(together)(raw, x), np.exp(raw)[member] * x, rtol=1e-6)


def test_parts_of_an_array_are_read_where_they_are():
    weights = numbers(4, 3, DRAWS, seed=6)

    def function(x, weights):
        return sum(weights[unit, 1][:, None] * x + weights.T[:, 2, unit][:, None] for unit in range(4))

    x = numbers(*SHAPE)
    expected = sum(weights[unit, 1][:, None] * x + weights[unit, 2][:, None] for unit in range(4))
    np.testing.assert_allclose(jax.jit(in_one_pass(function, SHAPE))(x, weights), expected, rtol=1e-5, atol=1e-6)


def test_sums_in_a_loop_over_devices():
    """Sums are added to in their place, in a loop in a map over blocks on two devices, and nothing else is touched."""

    def block(x):
        def day(number, carry):
            total, same = carry
            step = jnp.exp(-x * number)
            return total + step, same + total * 0.0

        return lax.fori_loop(0, 6, in_one_pass(day, SHAPE), (jnp.zeros(SHAPE), jnp.ones(SHAPE)))

    x = numbers(4, *SHAPE, least=0.0)
    mesh = Mesh(np.array(jax.devices()[:2]), ("device",))
    spread = jax.shard_map(lambda x: lax.map(block, x), mesh=mesh, in_specs=PartitionSpec("device"), out_specs=PartitionSpec("device"),
                           check_vma=False)  # fmt: skip
    total, same = jax.jit(spread)(x)
    np.testing.assert_allclose(total, sum(np.exp(-x.astype(float) * day) for day in range(6)), rtol=1e-6)
    np.testing.assert_array_equal(same, np.ones_like(x))


def test_a_program_is_compiled_once(monkeypatch):
    made, compiled = [], vector_code._compiled
    monkeypatch.setattr(vector_code, "_compiled", lambda name, text: made.append(name) or compiled(name, text))
    for _ in range(2):
        jax.jit(in_one_pass(lambda x: jnp.exp(x) * 1.2345, SHAPE))(numbers(*SHAPE))
    assert len(made) == 1


def test_parts_of_a_product_by_cause():
    """`of_product` with five causes, broadcast factors and one that two causes move, as XLA has it; the parts add up to the change."""
    ends = numbers(8, *SHAPE, seed=7, least=0.2)

    def changes(ends, row, column):
        two = lambda inside: jnp.exp(0.1 * (ends[4] if "a" in inside else ends[5]) * (ends[6] if "b" in inside else column))  # noqa: E731
        factors = [Moved((cause,), lambda inside, k=k: ends[k + 1] if inside else ends[k]) for k, cause in enumerate("abc")]
        factors += [Moved(("d",), lambda inside: row if inside else 2.0 * row), Moved(("e",), lambda inside: column if inside else 1.0)]
        factors += [Moved(("a", "b"), two), Moved((), lambda inside: ends[7])]
        at = lambda whole: reduce(mul, (one.actual if whole else one.usual for one in factors))  # noqa: E731
        return of_product(factors), at(True) - at(False), evaluated(ends[0])

    arguments = ends, numbers(DRAWS, 1, seed=8, least=0.2), numbers(N, seed=9, least=0.2)
    found, change, same = jax.jit(in_one_pass(changes, SHAPE))(*arguments)
    expected, _, _ = jax.jit(changes)(*arguments)
    largest = max(float(jnp.abs(part).max()) for part in expected.values())
    for cause, part in expected.items():
        np.testing.assert_allclose(found[cause], part, atol=2e-6 * largest, err_msg=cause)
    np.testing.assert_allclose(sum(found.values()), change, atol=1e-5 * float(jnp.abs(change).max()))
    np.testing.assert_array_equal(same, ends[0])
