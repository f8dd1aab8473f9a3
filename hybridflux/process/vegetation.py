"""Vegetation: where a place is in its year of growth, seen in its own series."""

from __future__ import annotations

import jax.numpy as jnp

SMALLEST_RANGE = 0.05  # fapar; keeps the phase of places without a season finite
NIRV_FULL = 0.33
"""NIRv of a canopy that absorbs all light [1]: the median of MODIS NIRv over MODIS fapar (collection 5) at 43 European towers, 3009 monthly
means of April to September with NIRv above 0.15 (quartiles 0.26 and 0.39). A scale alone: light use efficiency takes up what it is off."""


def phase(*, fapar, fapar_base, fapar_top):
    """Vegetation between the lowest and the highest of the place [1]: about 0 when bare, 1 in full leaf.

    (fapar - fapar_base) / (fapar_top - fapar_base + 0.05). The scaling of greenness by its own range, as in the phenology scalar of
    VPRM (Mahadevan et al. 2008, 10.1029/2006GB002735), with the range from quantiles.

    >>> round(phase(fapar=0.45, fapar_base=0.2, fapar_top=0.65), 6)
    0.5
    """
    return (fapar - fapar_base) / (fapar_top - fapar_base + SMALLEST_RANGE)


def green(*, nirv):
    """Light that green leaves absorb, seen in NIRv, as a share of the incoming [1], not negative; up to 1.4 over the brightest canopies.

    max(nirv, 0) / NIRV_FULL. NIRv is the reflectance of vegetation alone, so that soil does not count, and grows with the light that is
    absorbed: Badgley et al. 2017, 10.1126/sciadv.1602244; Dechant et al. 2022, 10.1016/j.rse.2021.112763.

    >>> round(float(green(nirv=0.165)), 6)
    0.5
    """
    return jnp.maximum(nirv, 0.0) / NIRV_FULL


def nirv_phase(*, nirv, nirv_base, nirv_top):
    """`phase` of NIRv: its place between the lowest and the highest of the place [1].

    >>> round(nirv_phase(nirv=0.2, nirv_base=0.1, nirv_top=0.3), 3)
    0.462
    """
    return (nirv - nirv_base) / (nirv_top - nirv_base + NIRV_FULL * SMALLEST_RANGE)
