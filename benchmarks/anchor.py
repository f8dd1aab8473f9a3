"""The C anchor: compiles `anchor.c` and runs it on the very blocks and parameters of the kernel."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FLAGS = ("-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fopenmp", "-shared", "-fPIC")
PER_PIXEL = ("light_use_efficiency", "respiration_ref", "root_zone_capacity")
PER_DRAW = ("light_saturation", "vpd_sensitivity", "tmin_open", "rew_critical", "respiration_gpp_share", "activation_temp")
FIXED = (
    "bare_evaporation", "rew_evaporation", "drainage_rate", "snow_melt", "evaporation_scalar", "rew_wilting", "respiration_dry",
    "rew_respiration", "tmin_closed",
)  # fmt: skip
WEATHER = ("tair", "tmin", "par", "vpd", "rain")


class Settings(ctypes.Structure):
    """As `Settings` of anchor.c."""

    _fields_ = [(name, ctypes.c_int) for name in ("blocks", "days", "draws", "spin", "months", "daily")] + [
        (name, ctypes.c_float) for name in FIXED
    ]


def compile_anchor(n: int) -> ctypes.CDLL:
    """Compile `anchor.c` for blocks of `n` pixels.

    Raises:
        FileNotFoundError: there is no gcc.
    """
    source = Path(__file__).with_name("anchor.c")
    library = Path(tempfile.mkdtemp(prefix="anchor-")) / f"anchor{n}.so"
    subprocess.run(["gcc", *FLAGS, f"-DN={n}", str(source), "-o", str(library), "-lmvec", "-lm"], check=True)
    return ctypes.CDLL(str(library))


@dataclass(frozen=True)
class Blocks:
    """What the anchor is given.

    Attributes:
        n: pixels in a block.
        spin: days before the first mapped one.
        pixel: parameter -> `[block, draw, n]`.
        draw: parameter -> `[draw]`.
        fixed: parameter -> number.
        weather: name -> `[time]`.
        fapar: int16, 1e-4 `[block, time, n]`.
        month: of each mapped day, from 0.
        weight: of pixels in the daily sums `[block, n]`.
    """

    n: int
    spin: int
    pixel: dict[str, np.ndarray]
    draw: dict[str, np.ndarray]
    fixed: dict[str, float]
    weather: dict[str, np.ndarray]
    fapar: np.ndarray
    month: np.ndarray
    weight: np.ndarray


def anchor(blocks: Blocks, *, daily: bool) -> Callable[[], dict[str, np.ndarray]]:
    """A function that runs the anchor; gives `maps` `[block, statistic, day, n]`, `sums` `[block, month, flux, draw, n]` and `series`."""
    run = compile_anchor(blocks.n).anchor
    number, days, n = blocks.fapar.shape
    draws, mapped, months = len(blocks.draw[PER_DRAW[0]]), len(blocks.month), int(blocks.month[-1]) + 1
    settings = Settings(number, days, draws, blocks.spin, months, int(daily), *(blocks.fixed[name] for name in FIXED))
    found = {
        "maps": np.zeros((number, 6, mapped, n) if daily else (1,), np.int16),
        "sums": np.zeros((number, months, 2, draws, n), np.float32),
        "series": np.zeros((number, mapped, 2, draws), np.float32),
    }
    inputs = [np.ascontiguousarray(blocks.pixel[name], np.float32) for name in PER_PIXEL]
    inputs += [np.ascontiguousarray(blocks.draw[name], np.float32) for name in PER_DRAW]
    inputs += [np.ascontiguousarray(blocks.weather[name], np.float32) for name in WEATHER]
    inputs += [np.ascontiguousarray(blocks.fapar, np.int16), np.ascontiguousarray(blocks.month, np.int32)]
    arrays = [*inputs, np.ascontiguousarray(blocks.weight, np.float32), *found.values()]

    def call() -> dict[str, np.ndarray]:
        run(ctypes.byref(settings), *(ctypes.c_void_p(array.ctypes.data) for array in arrays))
        return found

    return call
