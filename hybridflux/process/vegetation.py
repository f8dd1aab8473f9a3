"""Vegetation: where a place is in its year of growth, seen in its own series."""

from __future__ import annotations

SMALLEST_RANGE = 0.05  # fapar; keeps the phase of places without a season finite


def phase(*, fapar, fapar_base, fapar_top):
    """Vegetation between the lowest and the highest of the place [1]: about 0 when bare, 1 in full leaf.

    (fapar - fapar_base) / (fapar_top - fapar_base + 0.05). The scaling of greenness by its own range, as in the phenology scalar of
    VPRM (Mahadevan et al. 2008, 10.1029/2006GB002735), with the range from quantiles.

    >>> round(phase(fapar=0.45, fapar_base=0.2, fapar_top=0.65), 6)
    0.5
    """
    return (fapar - fapar_base) / (fapar_top - fapar_base + SMALLEST_RANGE)
