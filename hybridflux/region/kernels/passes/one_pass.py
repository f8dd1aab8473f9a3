"""A function of arrays whose elementwise parts are made in one pass over draws and pixels, with all results at once.

The function is traced as JAX traces any. What is elementwise over the whole shape is put off until something asks for it, and all that is
asked for at a time is one program of `vector_code`, which is a foreign function for XLA. What is the same for all draws or for all pixels
is made in that program too, once. All else is left to XLA. Nothing of it is for gradients, and no batch may be made of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

from hybridflux.model.evaluated import evaluated
from hybridflux.region.kernels.networks import repeated
from hybridflux.region.kernels.passes.vector_code import READING, Place, VectorStep, program
from hybridflux.region.kernels.passes.vector_math import LANES, OPERATIONS

SAME = ("copy", "optimization_barrier", "stop_gradient")
CALLS = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call")
HELD, GATHERED = evaluated.__name__, repeated.__name__
"""Calls that are known by their names: the first gives what it gets, the other for each row that row of its last argument which the last
but one tells."""
SHAPES = ("broadcast_in_dim", "reshape", "squeeze", "slice", "transpose")
KINDS = (np.dtype(np.float32), np.dtype(bool), np.dtype(np.int32))
FLOAT, TRUTH, INTEGER = KINDS
INTEGERS = {"add": "integer_add", "shift_left": "integer_shift_left"}
LOGIC = ("and", "or", "not")


class Known(NamedTuple):
    """A number or an array in a program.

    Attributes:
        step: its position.
        kind: dtype.
        shape: of the array.
        array: the same as an array; None where it has a whole shape and has not been made.
    """

    step: int
    kind: np.dtype
    shape: tuple[int, ...]
    array: Any = None


class Later:
    """What XLA will make of what has been put off."""

    array: Any = None


class View(NamedTuple):
    """An array as a part of another one: where it begins there, and how far the next one is along each axis."""

    base: Any
    first: int
    strides: tuple[int, ...]


def in_one_pass(function: Callable, *shapes: tuple[int, ...]) -> Callable:
    """The same function, with what is elementwise over a shape in as few passes as can be.

    Args:
        function: of trees of arrays.
        shapes: `[draw, n]`, `[n]`; those whose n is no multiple of `LANES` are left to XLA.
    """
    shapes = tuple(shape for shape in shapes if shape and shape[-1] % LANES == 0)

    def run(*arguments):
        closed, out = jax.make_jaxpr(function, return_shape=True)(*arguments)
        passes = _Passes(shapes)
        found = passes.evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(out), passes.settle(found))

    return run


class _Passes:
    """Steps that were put off, and the arrays they are made of."""

    def __init__(self, shapes: Sequence[tuple[int, ...]]):
        self.shapes = shapes
        self.steps: list[VectorStep] = []
        self.position: dict[VectorStep, int] = {}
        self.varies: list[set[str]] = []
        self.inputs: list[Any] = []
        self.places: list[Place] = []
        self.of_array: dict[tuple, int] = {}
        self.views: dict[int, tuple[Any, View]] = {}
        self.across: dict[int, tuple[int, ...]] = {}
        self.waiting: list[tuple[Any, list, list[Later]]] = []

    def put(self, name: str, *of: int, value: float = 0.0) -> int:
        """Position of a step, the same for the same step; a product with 1 and a sum with 0 are none."""
        numbers = [self.steps[one].value if self.steps[one].name == "constant" else None for one in of] if name not in READING else []
        if name == "mul" and 1.0 in numbers:
            return of[1 - numbers.index(1.0)]
        if name in ("add", "sub") and numbers[1] == 0.0:
            return of[0]
        if name == "add" and numbers[0] == 0.0:
            return of[1]
        if name == "div" and self.varies[of[0]] - self.varies[of[1]]:  # of few numbers, a reciprocal: a division takes as long as a tanh
            return self.put("mul", of[0], self.put("div", self.put("constant", value=1.0), of[1]))
        step = VectorStep(name, of, value)
        if step not in self.position:
            self.position[step] = len(self.steps)
            self.steps.append(step)
            places = [self.places[one] for one in of] if name in READING else []
            along = {axis for place in places for axis, stride in (("rows", place.rows), ("columns", place.columns)) if stride}
            self.varies.append(along.union(*(self.varies[one] for one in of)) if name not in READING else along)
        return self.position[step]

    def input(self, array: Any, place: Place) -> int:
        """Number of an input: an array, or one that will be made before it is read."""
        key = (array.step, array.shape, place) if isinstance(array, Known) else (id(array), place)
        if key not in self.of_array:
            self.of_array[key] = len(self.inputs)
            self.inputs.append(array)
            self.places.append(place)
        return self.of_array[key]

    def view(self, array: Any) -> View:
        """What an array is a part of."""
        if id(array) in self.views:
            return self.views[id(array)][1]
        return View(array, 0, tuple(int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim)))

    def read(self, array: Any) -> int | None:
        """Position of an array that XLA has made, None where it has no place in a program."""
        base, first, strides = self.view(array)
        long = (*(0,) * (2 - array.ndim), *(stride if size > 1 else 0 for stride, size in zip(strides, array.shape, strict=True)))
        if base.dtype not in (FLOAT, TRUTH) or not self.fits(array.shape) or long[-1] > 1:
            return None
        step = self.put("input", self.input(base, Place(*long, first)))
        return self.put("ne", step, self.put("constant")) if base.dtype == TRUTH else step

    def of(self, value: Any, kind: np.dtype = FLOAT) -> int | None:
        """Position of the step of a number or an array; None of what has no place in a program."""
        if isinstance(value, Known):
            return value.step if value.step not in self.across else None
        if isinstance(value, jax.Array):
            return self.read(value)
        return self.put("integer" if kind == INTEGER else "constant", value=float(value)) if np.ndim(value) == 0 and kind != TRUTH else None

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array is as a whole shape, or the same along its rows, columns or both."""
        return any(
            len(shape) <= len(whole) and all(one in (1, size) for one, size in zip(shape[::-1], whole[::-1], strict=False))
            for whole in self.shapes
        )

    def evaluate(self, jaxpr: Any, consts: Sequence, arguments: Sequence) -> list:
        """What a program of JAX gives, in part put off."""
        known: dict = dict(zip(jaxpr.constvars, consts, strict=True)) | dict(zip(jaxpr.invars, arguments, strict=True))
        for equation in jaxpr.eqns:
            name = equation.primitive.name
            values = [one.val if isinstance(one, Literal) else known[one] for one in equation.invars]
            if name in SAME:
                found = values
            elif name in CALLS:
                inner = equation.params["call_jaxpr" if "call_jaxpr" in equation.params else "jaxpr"]
                found = self.called(equation.params.get("name"), values)
                found = self.evaluate(inner.jaxpr, inner.consts, values) if found is None else found
            else:
                found = self.one(equation, values)
            known |= dict(zip(equation.outvars, found, strict=True))
        return [one.val if isinstance(one, Literal) else known[one] for one in jaxpr.outvars]

    def called(self, name: str | None, values: Sequence) -> list | None:
        """What a call gives that is known by its name."""
        if name == HELD:
            return [*values]
        if name == GATHERED and isinstance(values[-1], Known) and values[-1].array is None:
            _, which, raw = values
            shape = (which.shape[0], raw.shape[-1])
            place = Place(0, 1)
            step = self.put("gathered", self.input(raw, place), self.input(which, Place(1, 0)))
            return [Known(step, FLOAT, shape)] if shape in self.shapes else None
        return None

    def one(self, equation: Any, values: Sequence) -> list:
        """What an equation gives. What is small XLA makes as well, in case it is asked for outside of a program."""
        aval, name = equation.outvars[0].aval, equation.primitive.name
        if name == "convert_element_type" and not isinstance(values[0], Known | jax.Array) and np.ndim(values[0]) == 0:
            return [np.asarray(values[0]).astype(aval.dtype)[()]]
        if any(isinstance(value, Later) for value in values):
            if aval.shape in self.shapes and len(aval.shape) > 1 and name not in SHAPES:  # what is small can wait
                self.settle()
            values = [value.array if isinstance(value, Later) and value.array is not None else value for value in values]
            if any(isinstance(value, Later) for value in values):
                return self.left(equation, values)
        kinds = [one.aval.dtype for one in equation.invars]
        if name == "dot_general":
            step = self.summed(equation, values)
            return self.left(equation, values) if step is None else [Known(step, FLOAT, aval.shape)]
        fits = len(equation.outvars) == 1 and self.fits(aval.shape) and {aval.dtype, *kinds} <= {*KINDS}
        step = self.step(equation, values, kinds) if fits and name not in SHAPES else None
        if name in SHAPES:
            step, view = self.shaped(equation, values[0])
            if view is not None and (step is None or aval.shape not in self.shapes):
                found = self.left(equation, values)
                self.views[id(found[0])] = found[0], view
                step = self.read(found[0]) if step is None and fits else step
                return [Known(step, aval.dtype, aval.shape, found[0])] if fits and step is not None else found
        if step is None:
            return self.left(equation, values)
        return [Known(step, aval.dtype, aval.shape, None if aval.shape in self.shapes else self.left(equation, values)[0])]

    def step(self, equation: Any, values: Sequence, kinds: Sequence[np.dtype]) -> int | None:
        """Position of what is elementwise, None of all else."""
        name, aval = equation.primitive.name, equation.outvars[0].aval
        of = [self.of(value, kind) for value, kind in zip(values, kinds, strict=True)]
        if any(one is None for one in of):
            return None
        if name == "convert_element_type" and aval.dtype == FLOAT and kinds[0] in (FLOAT, TRUTH):
            return of[0] if kinds[0] == FLOAT else self.put("number", of[0])
        if name == "integer_pow" and equation.params["y"] > 0:
            whole = of[0]
            for _ in range(equation.params["y"] - 1):
                whole = self.put("mul", whole, of[0])
            return whole
        if name == "clamp" and aval.dtype == FLOAT:
            return self.put("min", self.put("max", of[1], of[0]), of[2])
        if name == "round" and equation.params["rounding_method"] == lax.RoundingMethod.TO_NEAREST_EVEN:
            return self.put("rint", *of)
        if name == "bitcast_convert_type" and {aval.dtype, *kinds} == {FLOAT, INTEGER}:
            return self.put("bits" if kinds[0] == FLOAT else "of_bits", *of)
        if aval.dtype == INTEGER:
            return self.put(INTEGERS[name], *of) if name in INTEGERS else None
        numbers = kinds[1:] if name == "select_n" else kinds
        wanted = TRUTH if name in LOGIC else FLOAT
        return self.put(name, *of) if name in OPERATIONS and all(kind == wanted for kind in numbers) and kinds[0] != INTEGER else None

    def shaped(self, equation: Any, value: Any) -> tuple[int | None, View | None]:
        """The step of a value whose shape alone is changed, where rows stay rows and columns columns; and of an array what part it is."""
        name, before, after = equation.primitive.name, equation.invars[0].aval.shape, equation.outvars[0].aval.shape
        if equation.invars[0].aval.dtype not in (FLOAT, TRUTH):
            return None, None
        to = _axes(name, equation.params, before, after)
        if to is None:
            return None, None
        aligned = name != "slice" and all(len(before) - axis == len(after) - to[axis] for axis in to)
        step = self.of(value) if aligned and self.fits(after) and (not isinstance(value, jax.Array) or self.fits(before)) else None
        array = value.array if isinstance(value, Known) else value
        if not isinstance(array, jax.Array):
            return step, None
        base, first, strides = self.view(array)
        if name == "slice":
            first += sum(int(start) * stride for start, stride in zip(equation.params["start_indices"], strides, strict=True))
        of_axis = {new: strides[axis] for axis, new in to.items()}
        return step, View(base, first, tuple(of_axis.get(axis, 0) for axis in range(len(after))))

    def summed(self, equation: Any, values: Sequence) -> int | None:
        """The step of a weighted sum over columns, whose weights are the same in all rows."""
        value, weights = values
        if not isinstance(value, Known) or value.array is not None or value.kind != FLOAT or len(value.shape) != 2:
            return None
        if equation.params["dimension_numbers"] != (((1,), (0,)), ((), ())) or equation.invars[1].aval.shape != value.shape[1:]:
            return None
        weight = self.of(weights)
        if weight is None:
            return None
        step = self.put("across", value.step, weight)
        self.across[step] = value.shape
        return step

    def left(self, equation: Any, values: Sequence) -> list:
        """What XLA makes, as soon as what it reads has been made."""
        if not any(isinstance(value, Later) or isinstance(value, Known) and value.array is None for value in values):
            return self.by_xla(equation, values)
        found = [Later() for _ in equation.outvars]
        self.waiting.append((equation, [*values], found))
        return found

    def by_xla(self, equation: Any, values: Sequence) -> list:
        """What an equation gives of arrays."""
        read = {one: value for one, value in zip(equation.invars, values, strict=True) if not isinstance(one, Literal)}
        alone = Jaxpr((), [*read], equation.outvars, [equation])
        arrays = [value.array if isinstance(value, Known) else value for value in read.values()]
        arrays = [jnp.asarray(array, one.aval.dtype) for one, array in zip(read, arrays, strict=True)]
        return jaxpr_as_fun(ClosedJaxpr(alone, ()))(*arrays)

    def settle(self, asked: Sequence = ()) -> list:
        """Make all that is waited for, and some more, in one pass for each shape, and what waited for it."""
        waiting, self.waiting = self.waiting, []
        arrays = self.made([*asked, *(value for _, values, _ in waiting for value in values)])
        for equation, values, found in waiting:
            made = [value.array if isinstance(value, Later) else arrays[id(value)] for value in values]
            for later, array in zip(found, self.by_xla(equation, made), strict=True):
                later.array = array
        return [value.array if isinstance(value, Later) else arrays[id(value)] for value in asked]

    def made(self, values: Sequence) -> dict[int, Any]:
        """Identity of a value -> its array; those put off are made in one pass for each shape."""
        missing = {(value.step, value.shape): value for value in values if isinstance(value, Known) and value.array is None}
        arrays: dict = {}
        for shape in {self.across.get(value.step, value.shape): None for value in missing.values()}:
            together = {key: value for key, value in missing.items() if self.across.get(value.step, value.shape) == shape}
            arrays |= dict(zip(together, self.run([*together.values()], shape), strict=True))
        of = lambda known: arrays[known.step, known.shape] if known.array is None else known.array  # noqa: E731
        return {id(value): of(value) if isinstance(value, Known) else value for value in values}

    def run(self, wanted: Sequence[Known], shape: tuple[int, ...]) -> list:
        """One pass."""
        as_float = {TRUTH: "number", INTEGER: "of_bits"}
        results = [self.put(as_float[one.kind], one.step) if one.kind in as_float else one.step for one in wanted]
        needed: set[int] = set()
        waiting = list(results)
        while waiting:
            now = waiting.pop()
            if now not in needed:
                needed.add(now)
                waiting += self.steps[now].of if self.steps[now].name not in READING else ()
        number = {position: new for new, position in enumerate(sorted(needed))}
        reading = sorted({read for one in number if self.steps[one].name in READING for read in self.steps[one].of})
        used = {one: new for new, one in enumerate(reading)}
        steps = [step._replace(of=tuple((used if step.name in READING else number)[one] for one in step.of))
                 for step in (self.steps[position] for position in number)]  # fmt: skip
        to, places = [number[one] for one in results], [self.places[one] for one in used]
        target, room = program(steps, to, places, (1, *shape)[-2:])
        read = [self.inputs[one] for one in used]
        made = self.made(read)
        inputs = [made[id(one)] for one in read]
        results = [jax.ShapeDtypeStruct(of, jnp.float32) for of in (*(one.shape for one in wanted), (room,))]
        alone = [one.shape == shape and sum(one is other for other in inputs) == 1 for one in inputs]
        call = jax.ffi.ffi_call(target, results, input_output_aliases=_sums(steps, to, alone))
        *arrays, _ = call(*(one.astype(jnp.float32) if one.dtype == TRUTH else one for one in inputs))
        back = {TRUTH: lambda one: one != 0, INTEGER: lambda one: lax.bitcast_convert_type(one, jnp.int32)}
        return [back[one.kind](array) if one.kind in back else array for one, array in zip(wanted, arrays, strict=True)]


def _axes(name: str, parameters: dict, before: tuple[int, ...], after: tuple[int, ...]) -> dict[int, int] | None:
    """Axis of more than one number before -> which it is after, None where they are not the same."""
    long = [axis for axis, size in enumerate(before) if size > 1]
    if name == "broadcast_in_dim":
        return {axis: int(parameters["broadcast_dimensions"][axis]) for axis in long}
    if name == "transpose":
        return {axis: parameters["permutation"].index(axis) for axis in long}
    if name == "slice":
        return {axis: axis for axis in long if after[axis] > 1} if parameters["strides"] is None else None
    to = [axis for axis, size in enumerate(after) if size > 1]
    return dict(zip(long, to, strict=True)) if [before[axis] for axis in long] == [after[axis] for axis in to] else None


def _sums(steps: Sequence[VectorStep], results: Sequence[int], alone: Sequence[bool]) -> dict[int, int]:
    """Input -> result that is that input and something else, which nothing else reads: it may be added to in its place."""
    read = Counter(one for step in steps if step.name not in READING for one in step.of) + Counter(results)
    found: dict[int, int] = {}
    for number, result in enumerate(results):
        adds = steps[result].name == "add" and read[result] == 1
        inputs = [steps[one].of[0] for one in steps[result].of if adds and steps[one].name == "input" and read[one] == 1]
        found |= {one: number for one in [one for one in inputs if alone[one]][:1]}
    return found
