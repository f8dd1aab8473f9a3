"""Constants with their sources, and the closed table of unit conversions used at the border."""

from __future__ import annotations

SECONDS_PER_DAY = 86400.0
GRAMS_C_PER_MOL = 12.011  # IUPAC 2021 standard atomic weight of carbon
GC_PER_UMOL_PER_SECOND_DAY = GRAMS_C_PER_MOL * 1e-6 * SECONDS_PER_DAY  # 1.03775
GCO2_PER_GC = 44.0 / 12.0  # 3.667, as in greenhouse gas inventories: IPCC 2006 guidelines, vol. 4, ch. 2; 3.664 by atomic weights
PAR_PER_SHORTWAVE = 0.45  # Running & Zhao 2015, MOD17 user's guide
FREEZING_KELVIN = 273.15
LATENT_HEAT = 2.45  # MJ kg-1 of water at 20 degC, Allen et al. 1998 (FAO-56)

_LINEAR: dict[tuple[str, str], tuple[float, float]] = {
    ("umol m-2 s-1", "gC m-2 d-1"): (GC_PER_UMOL_PER_SECOND_DAY, 0.0),
    ("gC m-2 d-1", "kgC m-2 s-1"): (1e-3 / SECONDS_PER_DAY, 0.0),
    ("gC", "gCO2"): (GCO2_PER_GC, 0.0),
    ("gC", "tCO2"): (GCO2_PER_GC * 1e-6, 0.0),
    ("gC", "tC"): (1e-6, 0.0),
    ("gC m-2", "tC ha-1"): (1e-2, 0.0),
    ("K", "degC"): (1.0, -FREEZING_KELVIN),
    ("Pa", "hPa"): (1e-2, 0.0),
    ("kPa", "hPa"): (10.0, 0.0),
    ("%", "1"): (1e-2, 0.0),
    ("%", "m3 m-3"): (1e-2, 0.0),
    ("m", "mm"): (1e3, 0.0),
    ("m d-1", "mm d-1"): (1e3, 0.0),
    ("kg m-2 s-1", "mm d-1"): (SECONDS_PER_DAY, 0.0),
    ("W m-2", "MJ m-2 d-1"): (SECONDS_PER_DAY * 1e-6, 0.0),
    ("J m-2 d-1", "MJ m-2 d-1"): (1e-6, 0.0),
}


def convert(value, units: str, to: str):
    """Convert a number or array between two units of the closed table.

    Args:
        value: number or array [units].
        units: the units it has.
        to: the units wanted.

    Raises:
        ValueError: the pair is not in the table; the message lists what `units` can become.

    >>> round(convert(1.0, "umol m-2 s-1", "gC m-2 d-1"), 4)
    1.0378
    >>> convert(20.0, "degC", "K")
    293.15
    """
    if units == to:
        return value
    if (units, to) in _LINEAR:
        factor, offset = _LINEAR[units, to]
        return value * factor + offset
    if (to, units) in _LINEAR:
        factor, offset = _LINEAR[to, units]
        return (value - offset) / factor
    known = sorted({b for a, b in _LINEAR if a == units} | {a for a, b in _LINEAR if b == units})
    raise ValueError(f"cannot convert `{units}` to `{to}`; `{units}` converts to {', '.join(known) or 'nothing known'}")


def shortwave_to_par(shortwave):
    """Photosynthetically active radiation [MJ m-2 d-1] of a 24 h mean of shortwave radiation [W m-2].

    >>> round(shortwave_to_par(200.0), 3)
    7.776
    """
    return convert(shortwave, "W m-2", "MJ m-2 d-1") * PAR_PER_SHORTWAVE
