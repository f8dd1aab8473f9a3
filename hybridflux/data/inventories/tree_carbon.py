"""Measured trees -> volume, biomass, carbon."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hybridflux.data.inventories import species

CARBON_FRACTION = 0.475
"""Carbon of dry wood [1], of the French inventory (Loustau 2004, CARBOFOR); IPCC 2006, vol. 4, table 4.3 has 0.47."""
ROOTS_BROADLEAF, ROOTS_CONIFER = 1.28, 1.30
"""Biomass with roots over biomass above ground [1], of the French inventory (Loustau 2004, CARBOFOR)."""
BREAST = 1.3  # m, height at which the diameter is measured
FEWEST_HEIGHTS = 20  # measured heights a species needs for a curve of its own
VALLET = {
    species.FIR: (0.550, -7.49e-4, 0.277, 0.0),
    species.BEECH: (0.395, 2.66e-4, 0.421, 45.4),
    species.SPRUCE: (0.631, -9.46e-4, 0.0, 0.0),
    species.MARITIME: (0.235, 9.70e-4, 0.396, 198.8),
    species.PINE: (0.297, 3.18e-4, 0.384, 204.0),
    species.DOUGLAS: (0.534, -5.30e-4, 0.0, 56.6),
    species.OAK: (0.471, -3.45e-4, 0.377, 0.0),
}
"""alpha, beta [cm-1], gamma [m cm-1/2], delta [cm2] of the form of a tree, Vallet et al. 2006, 10.1016/j.foreco.2006.03.013, table 5."""


def total_volume(diameter: np.ndarray, height: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Wood above ground, stem and branches [m3], Vallet et al. 2006, equations 3, 6 and 7.

    volume = form c^2 h / (40000 pi), form = (alpha + beta c + gamma sqrt(c) / h) (1 + delta / c^2), c the circumference [cm].

    Args:
        diameter: diameter at breast height [cm].
        height: height of the tree [m].
        group: species of `VALLET`, as `species.volume_group` gives it.
    """
    alpha, beta, gamma, delta = np.array([VALLET[name] for name in group]).reshape(-1, 4).T
    circumference = np.pi * diameter
    form = (alpha + beta * circumference + gamma * np.sqrt(circumference) / height) * (1.0 + delta / circumference**2)
    return form * circumference**2 * height / (40000.0 * np.pi)


def filled_heights(diameter: np.ndarray, height: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Heights [m]; missing ones from the curve of Naslund 1936, `h = 1.3 + (d / (a + b d))^2`, fitted to the measured ones.

    Args:
        diameter: diameter at breast height [cm].
        height: measured height [m], NaN elsewhere.
        group: group of each tree, with one curve for each; groups with fewer than `FEWEST_HEIGHTS` measured trees take the curve of all.

    Raises:
        ValueError: too few heights for any curve.
    """
    measured = np.isfinite(height) & (height > BREAST) & (diameter > 0)
    if measured.sum() < FEWEST_HEIGHTS:
        raise ValueError(f"{int(measured.sum())} measured heights are too few for a height curve; it needs {FEWEST_HEIGHTS}")
    out = np.where(np.isfinite(height), height, _curve(diameter, height, measured, diameter))
    for name in np.unique(group):
        own = measured & (group == name)
        if own.sum() >= FEWEST_HEIGHTS:
            fill = ~np.isfinite(height) & (group == name)
            out[fill] = _curve(diameter, height, own, diameter[fill])
    return out


def living_carbon(trees: pd.DataFrame, density: pd.DataFrame) -> np.ndarray:
    """Carbon of living trees, above ground and roots, each with its number per hectare [tC ha-1].

    Args:
        trees: columns `dbh` [cm], `height` [m] or NaN, `espar`, `density_factor` [trees ha-1].
        density: table of basic wood densities, see `species.wood_density`.
    """
    group = species.volume_group(trees["espar"])
    diameter = trees["dbh"].to_numpy(float)
    height = filled_heights(diameter, trees["height"].to_numpy(float), group)
    wood = total_volume(diameter, height, group) * species.wood_density(trees["espar"], density)
    roots = np.where(species.is_conifer(trees["espar"]), ROOTS_CONIFER, ROOTS_BROADLEAF)
    return wood * roots * CARBON_FRACTION * trees["density_factor"].to_numpy(float)


def dead_carbon(trees: pd.DataFrame, density: pd.DataFrame) -> np.ndarray:
    """Carbon of the stems of dead trees with sound wood, each with its number per hectare [tC ha-1].

    An upper bound for the stem: wood loses 10 to 50 % of its density as it decays (Harmon et al. 2011, NRS-15), which the
    inventory does not record in the published tables; branches, stumps and roots are not in it.

    Args:
        trees: columns `v` stem volume [m3], `espar`, `w` [trees ha-1].
        density: table of basic wood densities.
    """
    mass = trees["v"].to_numpy(float) * species.wood_density(trees["espar"], density)
    return mass * CARBON_FRACTION * trees["w"].to_numpy(float)


def _curve(diameter: np.ndarray, height: np.ndarray, use: np.ndarray, at: np.ndarray) -> np.ndarray:
    slope, start = np.polyfit(diameter[use], diameter[use] / np.sqrt(height[use] - BREAST), 1)
    return BREAST + (at / (start + slope * at)) ** 2
