"""Programs of vector instructions for elementwise expressions: text of LLVM, and what this processor makes of it.

A program takes arrays of float32 of rows and columns, of which some are the same in all rows or in all columns, and gives several arrays
of rows and columns in one pass: what they share is in registers. XLA has one loop for each result, which computes it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple

import jax
import llvmlite.binding as llvm

from hybridflux.region.kernels.passes.vector_math import (
    FLOAT,
    INTEGER,
    INTEGERS,
    INTRINSICS,
    LANES,
    OPERATIONS,
    TRUTHS,
    Writer,
    splat,
    splat_of_integer,
)


class VectorStep(NamedTuple):
    """One number of an element.

    Attributes:
        name: of `READING`, `constant`, `integer`, an operation of `OPERATIONS`, or `across`: a sum of products over the columns, which no
            other step reads.
        of: positions of the steps it is made of; numbers of inputs of those of `READING`.
        value: of a constant.
    """

    name: str
    of: tuple[int, ...] = ()
    value: float = 0.0


class Place(NamedTuple):
    """How an input lies: how far the next row is, how far the next column (0 or 1), and how far the first number is from its beginning."""

    rows: int
    columns: int
    first: int = 0


ONCE, COLUMN, ROW, WHOLE = (False, False), (False, True), (True, False), (True, True)
READING = ("input", "gathered")
"""Steps made of inputs, not of steps: `gathered` is an input of fewer rows, of which another input tells the row to take (int32)."""


def program(steps: Sequence[VectorStep], results: Sequence[int], places: Sequence[Place], shape: tuple[int, int]) -> tuple[str, int]:
    """Name of a call target of XLA on the CPU that computes some steps, registered for this process, and what it must be lent.

    Args:
        steps: each of steps before it.
        results: which are wanted.
        places: of each input; one that differs in neither way is a single number.
        shape: rows, and columns, a multiple of `LANES`.

    Returns:
        The name, and how many numbers a last result must have room for, which is for the program alone.
    """
    written = _Text(steps, places, shape[1])
    text = written.text(results, shape)
    name = "hybridflux_" + hashlib.sha256(text.encode()).hexdigest()[:24]
    with _lock:
        if name not in _engines:
            _engines[name] = _compiled(name, text)
    return name, len(written.held) * shape[1]


_lock, _engines = Lock(), {}
"""What owns the code of each program of this process."""


def _compiled(name: str, text: str) -> Any:
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text.replace("@NAME", "@" + name)), _machine())
    engine.finalize_object()
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(engine.get_function_address(name)), platform="cpu")
    return engine


def _machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3)


class _Text(Writer):
    """Lines of a program: those that are done once, for each vector of columns, for each row, and for each vector of each row."""

    def __init__(self, steps: Sequence[VectorStep], places: Sequence[Place], columns: int):
        self.steps, self.places, self.columns = steps, places, columns
        self.lines: dict[tuple[bool, bool], list[str]] = {level: [] for level in (ONCE, COLUMN, ROW, WHOLE)}
        self.rows: dict[int, str] = {}
        self.made: dict[int, str] = {}
        self.held: dict[int, str] = {}
        self.number = 0
        self.where = WHOLE
        self.levels: list[tuple[bool, bool]] = []
        for step in steps:
            of = [(places[one].rows > 0, places[one].columns > 0) if step.name in READING else self.levels[one] for one in step.of]
            self.levels.append((any(rows for rows, _ in of), any(columns for _, columns in of)))

    def put(self, words: str) -> str:
        """A line with a result, and the name of that."""
        self.number += 1
        self.lines[self.where].append(f"  %v{self.number} = {words}")
        return f"%v{self.number}"

    def text(self, results: Sequence[int], shape: tuple[int, int]) -> str:
        """The whole program."""
        rows, columns = shape
        sums, ended = [], []
        for number, result in enumerate(results):
            if self.steps[result].name == "across":
                total = f"%all{number}"
                value, weight = (self.of(one) for one in self.steps[result].of)
                added = self.two("fadd", self.two("fmul", value, weight), f"%sum{number}")
                sums.append(f"  %sum{number} = phi {FLOAT} [zeroinitializer, %rows], [{added}, %columns]")
                ended += [f"  {total} = call reassoc float @llvm.vector.reduce.fadd.v{LANES}f32(float 0.0, {FLOAT} {added})",
                          f"  %to{number} = getelementptr float, ptr %out{number}, i64 %row",
                          f"  store float {total}, ptr %to{number}"]
                continue
            made = self.of(result)
            at = self.put(f"getelementptr float, ptr %out{number}, i64 %here")
            self.lines[WHOLE].append(f"  store {FLOAT} {made}, ptr {at}, align 4")
        before = []
        for kind, buffers, count in (("in", "args", len(self.places)), ("out", "rets", len(results) + 1)):
            for number in range(count):
                one = f"{kind}{number}"
                before += [f"  %box.{one} = getelementptr ptr, ptr %{buffers}, i64 {number}", f"  %buffer.{one} = load ptr, ptr %box.{one}",
                           f"  %at.{one} = getelementptr i8, ptr %buffer.{one}, i64 24", f"  %{one} = load ptr, ptr %at.{one}"]
        before.append(f"  %held = getelementptr i8, ptr %out{len(results)}, i64 0")
        first = [*LOOP_OF_COLUMNS, *self.lines[COLUMN], f"  %first.next = add nuw nsw i64 %first, {LANES}",
                 f"  %first.done = icmp eq i64 %first.next, {columns}", "  br i1 %first.done, label %all, label %firsts", "all:",
                 "  br label %rows"]
        last = [f"  %next = add nuw nsw i64 %column, {LANES}", f"  %done = icmp eq i64 %next, {columns}",
                "  br i1 %done, label %ended, label %columns", "ended:", *ended, f"  %from.next = add nuw nsw i64 %from, {columns}",
                "  %row.next = add nuw nsw i64 %row, 1", f"  %over = icmp eq i64 %row.next, {rows}",
                "  br i1 %over, label %end, label %rows", "end:", "  ret ptr null", "}"]
        vectors = [*OF_COLUMNS[:2], *sums, *OF_COLUMNS[2:], *self.lines[WHOLE]]
        loops = [*first, *LOOPS, *self.lines[ROW], "  br label %columns", *vectors, *last]
        return "\n".join([*HEAD, *before, *self.lines[ONCE], *loops, *INTRINSICS, ""])

    def of(self, position: int) -> str:
        """The name of a step, which is made where it is not yet; what it is made of comes before it."""
        waiting = [position]
        while waiting:
            now = waiting[-1]
            step = self.steps[now]
            missing = [] if step.name in READING else [one for one in step.of if one not in self.made]
            if now not in self.made and not missing:
                self.where = self.levels[now]
                self.made[now] = self.step(step)
                self.where = WHOLE
            if now in self.made:
                waiting.pop()
            else:
                waiting += reversed(missing)
        return self.read(position)

    def read(self, position: int) -> str:
        """A step in the loop that is written now."""
        made = self.made[position]
        if self.levels[position] != COLUMN or self.where == COLUMN or self.steps[position].name in ("constant", "integer"):
            return made
        if position not in self.held:
            where, self.where, name = self.where, COLUMN, self.steps[position].name
            if name in TRUTHS or name in INTEGERS:
                made = OPERATIONS["number" if name in TRUTHS else "of_bits"](self, made)
            at = self.put(f"getelementptr float, ptr %held, i64 {len(self.held) * self.columns}")
            self.lines[COLUMN].append(f"  store {FLOAT} {made}, ptr {self.put(f'getelementptr float, ptr {at}, i64 %first')}, align 4")
            self.where = where
            at = self.put(f"getelementptr float, ptr %held, i64 {len(self.held) * self.columns}")
            at = self.put(f"getelementptr float, ptr {at}, i64 %column")
            found = self.put(f"load {FLOAT}, ptr {at}, align 4")
            if name in TRUTHS:
                found = self.compare("une", found, splat(0.0))
            self.held[position] = OPERATIONS["bits"](self, found) if name in INTEGERS else found
        return self.held[position]

    def step(self, step: VectorStep) -> str:
        """Lines of one step, and the name of the last."""
        if step.name == "constant":
            return splat(step.value)
        if step.name == "integer":
            return splat_of_integer(int(step.value))
        if step.name == "gathered":
            return self.load(step.of[0], self.row_of(step.of[1]), 0, "%column")
        if step.name == "input":
            (number,) = step.of
            rows, columns, first = self.places[number]
            if rows == self.columns and columns and not first:
                return self.load(number, "%here")
            row = self.put(f"mul nuw nsw i64 %row, {rows}") if rows else "0"
            return self.load(number, row, first, {ONCE: "", COLUMN: "%first", ROW: "", WHOLE: "%column"}[self.where])
        return OPERATIONS[step.name](self, *(self.read(one) for one in step.of))

    def load(self, number: int, row: str, first: int = 0, column: str = "") -> str:
        """Numbers of an input."""
        at = self.put(f"getelementptr float, ptr %in{number}, i64 {row}")
        at = self.put(f"getelementptr float, ptr {at}, i64 {first}") if first else at
        at = self.put(f"getelementptr float, ptr {at}, i64 {column}") if column else at
        if self.places[number].columns:
            return self.put(f"load {FLOAT}, ptr {at}, align 4")
        one = self.put(f"insertelement {FLOAT} poison, float {self.put(f'load float, ptr {at}')}, i64 0")
        return self.put(f"shufflevector {FLOAT} {one}, {FLOAT} poison, {INTEGER} zeroinitializer")

    def row_of(self, number: int) -> str:
        """Where the row begins that an input tells."""
        if number not in self.rows:
            where, self.where = self.where, ROW
            row = self.put(f"load i32, ptr {self.put(f'getelementptr i32, ptr %in{number}, i64 %row')}")
            self.rows[number] = self.put(f"mul nuw nsw i64 {self.put(f'zext i32 {row} to i64')}, {self.columns}")
            self.where = where
        return self.rows[number]


HEAD = """\
define ptr @NAME(ptr %frame) {
  %asked = getelementptr i8, ptr %frame, i64 8
  %more = load ptr, ptr %asked
  %plain = icmp eq ptr %more, null
  br i1 %plain, label %run, label %extended
extended:
  %where.kind = getelementptr i8, ptr %more, i64 8
  %kind = load i32, ptr %where.kind
  %asks = icmp eq i32 %kind, 1
  br i1 %asks, label %version, label %run
version:
  %where = getelementptr i8, ptr %more, i64 24
  %answer = load ptr, ptr %where
  %major = getelementptr i8, ptr %answer, i64 24
  store i32 0, ptr %major
  %minor = getelementptr i8, ptr %answer, i64 28
  store i32 1, ptr %minor
  ret ptr null
run:
  %where.args = getelementptr i8, ptr %frame, i64 72
  %args = load ptr, ptr %where.args
  %where.rets = getelementptr i8, ptr %frame, i64 112
  %rets = load ptr, ptr %where.rets""".split("\n")
"""XLA's calls of foreign functions (`xla/ffi/api/c_api.h`, structs of version 0.1 and later): a call with the extension for metadata (1)
asks for the version of the interface; any other has pointers to the buffers of arguments and results, and a buffer has its data behind 24
bytes."""
LOOP_OF_COLUMNS = """\
  br label %firsts
firsts:
  %first = phi i64 [0, %run], [%first.next, %firsts]""".split("\n")
LOOPS = """\
rows:
  %row = phi i64 [0, %all], [%row.next, %ended]
  %from = phi i64 [0, %all], [%from.next, %ended]""".split("\n")
OF_COLUMNS = """\
columns:
  %column = phi i64 [0, %rows], [%next, %columns]
  %here = add nuw nsw i64 %from, %column""".split("\n")
