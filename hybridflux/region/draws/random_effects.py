"""Effects of unseen places: for each draw a smooth random field over the ground, the same whatever the tiles.

A population effect of the fit has one value per tower. A map needs one per pixel, similar between neighbours and independent far away.
The field is a Gaussian process with the correlation of `model.effect_correlation`, a sum of two Matern-3/2 parts; each is made of plane
waves (random Fourier features): z(x) = sum_k [w_k cos(f_k x) + v_k sin(f_k x)] / sqrt(waves) with standard normal weights w, v. Its
variance is exactly one everywhere. The frequencies are fixed points of the spectrum; the weights are seeded by (seed, name of the effect,
draw, plant type and, for effects of a year, the year), so two runs share their fields. `tower_effects` leads it through the towers near.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

from hybridflux.model.effect_correlation import ECOSYSTEM, EffectCorrelation
from hybridflux.vocabulary import PLANT_TYPES

WAVES, OWN_WAVES = 128, 64
"""Waves of what neighbours share, and of what belongs to an ecosystem alone."""
_GOLDEN = np.pi * (3.0 - np.sqrt(5.0))


def frequencies(correlation: EffectCorrelation) -> np.ndarray:
    """Wave numbers `[wave, (x, y)]`, rad m-1: of what neighbours share and, where there is a nugget, of what belongs to an ecosystem."""
    shared = _spectrum(correlation.length, WAVES)
    return np.concatenate([shared, _spectrum(ECOSYSTEM, OWN_WAVES)]) if correlation.nugget else shared


def _spectrum(length: float, waves: int) -> np.ndarray:
    """The spectrum of a Matern-3/2 process in two dimensions, at equal shares.

    The radial distribution is 1 - (1 + (f length)^2 / 3)^(-3/2); the directions turn by the golden angle.
    """
    share = (np.arange(waves) + 0.5) / waves
    radius = np.sqrt(3.0 * ((1.0 - share) ** (-2.0 / 3.0) - 1.0)) / length
    angle = _GOLDEN * np.arange(waves)
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


def waves(at: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Cosines and sines of all waves at some points `[point, 2 wave]`, as kernels make them.

    Args:
        at: of the points `[point, (x, y)]`, m.
        frequency: wave numbers `[wave, (x, y)]`.
    """
    along, up = (phases(at[:, axis], frequency[:, axis]) for axis in (0, 1))
    cosine = along[..., 0] * up[..., 0] - along[..., 1] * up[..., 1]
    return np.concatenate([cosine, along[..., 1] * up[..., 0] + along[..., 0] * up[..., 1]], -1)


def weights(seed: int, name: str, draws: int, years: np.ndarray | None = None, nugget: float = 0.0) -> np.ndarray:
    """Normal weights of the waves, so that a field has variance one: `[draw, plant_type, year, 2 wave]`, float32.

    Args:
        seed: of the run.
        name: of the table of effects.
        draws: how many; the first ones are the same for any number.
        years: calendar years of effects of a year; None for constant effects, one entry.
        nugget: share of the variance that belongs to an ecosystem alone.
    """
    shared = _normal((seed, crc32(name.encode())), draws, years, WAVES)
    if not nugget:
        return shared
    own = _normal((seed, crc32(f"{name}, of an ecosystem".encode())), draws, years, OWN_WAVES) * np.float32(np.sqrt(nugget))
    shared = shared * np.float32(np.sqrt(1.0 - nugget))
    parts = [part for halves in zip(*(np.split(one, 2, -1) for one in (shared, own)), strict=True) for part in halves]
    return np.concatenate(parts, axis=-1)


def _normal(seeds: tuple[int, int], draws: int, years: np.ndarray | None, waves: int) -> np.ndarray:
    """Standard normal numbers over sqrt(waves): `[draw, plant_type, year, 2 wave]`, float32."""
    shape = (len(PLANT_TYPES), 2 * waves)
    table = [
        [np.random.default_rng([*seeds, draw, int(year)]).standard_normal(shape, np.float32) for year in ([0] if years is None else years)]
        for draw in range(draws)
    ]
    return np.moveaxis(np.array(table), 1, 2) / np.float32(np.sqrt(waves))
