"""Effects of unseen places: for each draw a smooth random field over the ground, the same whatever the tiles.

A population effect of the fit has one value per tower. A map needs one per pixel, alike in neighbours and unlike far away.
The field is a Gaussian process with a Matern-3/2 correlation, (1 + a) exp(-a) with a = sqrt(3) distance / length, made of
`WAVES` plane waves (random Fourier features): z(x) = sum_k [w_k cos(f_k x) + v_k sin(f_k x)] / sqrt(WAVES) with standard
normal weights w, v. Its variance is exactly one everywhere. The frequencies are fixed points of the spectrum; the weights are
seeded by (seed, name of the effect, draw, plant type and, for effects of a year, the year), so two runs share their fields.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

from hybridflux.vocabulary import PLANT_TYPES

WAVES = 128
_GOLDEN = np.pi * (3.0 - np.sqrt(5.0))


def frequencies(length: float) -> np.ndarray:
    """Wave numbers `[wave, (x, y)]`, rad m-1: the spectrum of a Matern-3/2 process in two dimensions, at equal shares.

    The radial distribution is 1 - (1 + (f length)^2 / 3)^(-3/2); the directions turn by the golden angle.
    """
    share = (np.arange(WAVES) + 0.5) / WAVES
    radius = np.sqrt(3.0 * ((1.0 - share) ** (-2.0 / 3.0) - 1.0)) / length
    angle = _GOLDEN * np.arange(WAVES)
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)


def phases(at: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Cosine and sine of the phase along one axis `[at, wave, 2]`, float32.

    Computed in float64 from coordinates on the map, so that a pixel gets the same numbers in any tile.

    Args:
        at: x or y of columns or rows [m].
        frequency: wave numbers along this axis `[wave]`.
    """
    angle = at[:, None] * frequency[None, :]
    return np.stack([np.cos(angle), np.sin(angle)], -1).astype(np.float32)


def weights(seed: int, name: str, draws: int, years: np.ndarray | None = None) -> np.ndarray:
    """Standard normal weights of the waves, over sqrt(WAVES): `[draw, plant_type, year, 2 WAVES]`, float32.

    Args:
        seed: of the run.
        name: of the table of effects.
        draws: how many; the first ones are the same for any number.
        years: calendar years of effects of a year; None for lasting effects, one entry.
    """
    code = crc32(name.encode())
    shape = (len(PLANT_TYPES), 2 * WAVES)
    table = [
        [
            np.random.default_rng([seed, code, draw, int(year)]).standard_normal(shape, np.float32)
            for year in ([0] if years is None else years)
        ]
        for draw in range(draws)
    ]
    return np.moveaxis(np.array(table), 1, 2) / np.float32(np.sqrt(WAVES))
