"""Checks that soil layers are in the units of the catalog: by the sum of sand, silt and clay, and by impossible values.

Copies of SoilGrids circulate in two systems of units under the same names: as stored by ISRIC (sand, silt, clay in g kg-1, soc in dg kg-1,
cfvo in cm3 dm-3, water contents in 0.1 %) and in conventional units, a tenth of these (per cent, g kg-1, per cent, per cent;
docs.isric.org/globaldata/soilgrids, FAQ). A file rarely declares which. Shares of the mass of fine earth sum to 1, which decides; without
silt, sand + clay = 1 - silt still does. All values here are in the units that follow from the scale of the catalog.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

OFF = 0.05  # of the sum of sand, silt and clay [1]: stored in steps of 0.001, predicted together, averaged together
MOST_OFF = 0.25  # largest share of pixels with a wrong sum; in small regions a single pixel of 250 m is as large
SILTIEST = 0.90  # silt of a whole layer, more than any loess has; per cent that are read as g kg-1 leave more
LEAST_SAND, LITTLE_SAND, ITS_SILT = 0.03, 0.10, 0.6  # a whole region with less sand; loess has little sand and so much silt
LEAST_CLAY, LITTLE_CLAY, NO_DUNE = 0.02, 0.04, 0.15  # dunes have the least clay, and no such share of silt with it
LEAST_CARBON, LITTLE_CARBON = 0.001, 0.010  # median of the upper layer [1]: less than bare deserts have; less than most soils have
LEAST_STONES, LITTLE_STONES = 0.001, 0.04  # largest of all layers [1]: fractions read as cm3 dm-3; lowlands, or per cent
LEAST_WET, LEAST_DRY, LEAST_RATIO = 0.06, 0.015, 0.15  # water contents [m3 m-3] of coarse sand; wilting point over field capacity
FALL, RISE = {"soc": 8.0}, {"soc": 3.0}
USUAL = 5.0
"""Largest ratio of successive layers (`FALL`, `RISE`, else `USUAL`): a factor of 10 is another unit. Carbon decreases with depth."""
_SAMPLE = 1_000_000  # pixels of a layer from which a median is taken
_UNITS = (
    "bring every layer to the units of ISRIC (sand, silt, clay in g kg-1, soc in dg kg-1, cfvo in cm3 dm-3, water contents in 0.1 %), "
    "for instance with `gdal_calc.py -A {file} --calc='A*{factor}' --outfile=NEW.tif`, or take a constant capacity"
)


def median(values: np.ndarray) -> float:
    """Median of the known pixels, of a regular sample where there are many; NaN where none is known."""
    values = values.ravel()[:: max(1, values.size // _SAMPLE)]
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else np.nan


def texture_off(layer: Mapping[str, np.ndarray], files: Mapping[str, str]) -> np.ndarray:
    """Pixels `[y, x]` whose sand, silt and clay cannot be the shares of one soil.

    Args:
        layer: `sand`, `clay` and, where it is known, `silt` of one depth `[y, x]` [1].
        files: files of each band.

    Raises:
        ValueError: the layer as a whole is in another unit.
    """
    names = [name for name in ("sand", "silt", "clay") if name in layer]
    total = np.sum([layer[name] for name in names], axis=0)
    middle = {name: median(layer[name]) for name in names}
    whole = median(total)
    if np.isnan(whole):
        return np.zeros(total.shape, bool)
    low = 1 - OFF if "silt" in names else 1 - SILTIEST
    if not low < whole <= 1 + OFF:
        raise ValueError(
            f"{files['sand']}: {' + '.join(names)} is {1000 * whole:.4g} g kg-1 "
            f"({', '.join(f'{name} {1000 * value:.4g}' for name, value in middle.items())}; medians of the grid), expected is "
            f"{'1000' if 'silt' in names else f'{1000 * low:.0f} to 1000, of which silt is the rest'}; "
            f"{_looks(whole)}{_cure(files['sand'], whole)}"
        )
    if "silt" not in names:
        _one_of_two(middle["sand"], middle["clay"], files)
    off = np.abs(total - 1) > OFF if "silt" in names else total > 1 + OFF
    if (share := _share(off, total)) > MOST_OFF:
        raise ValueError(
            f"{files['sand']}: {' + '.join(names)} is {1000 * np.nanmin(total):.4g} to {1000 * np.nanmax(total):.4g} g kg-1 and cannot be "
            f"one soil in {share:.0%} of the pixels; the layers are of different maps or in different units: {_cure(files['sand'], 0.1)}"
        )
    return off


def water_off(layer: Mapping[str, np.ndarray], files: Mapping[str, str]) -> np.ndarray:
    """Pixels `[y, x]` whose wilting point is above their field capacity.

    Args:
        layer: `wv0033` and `wv1500` of one depth `[y, x]` [m3 m-3].
        files: files of each band.

    Raises:
        ValueError: the layer as a whole is in another unit, or the two are exchanged.
    """
    wet, dry = median(layer["wv0033"]), median(layer["wv1500"])
    off = layer["wv1500"] > layer["wv0033"]
    if wet < LEAST_WET or dry < LEAST_DRY or dry < LEAST_RATIO * wet or _share(off, layer["wv0033"]) > MOST_OFF:
        file = files["wv0033"] if wet < LEAST_WET else files["wv1500"]
        raise ValueError(
            f"{file}: water contents at 33 and 1500 kPa are {wet:.3g} and {dry:.3g} m3 m-3 (medians), expected are 0.1 to 0.6 and "
            f"0.03 to 0.4, the first the larger; {_cure(file, min(wet, dry))}"
        )
    return off


def judge_profile(profile: Mapping[int, float], band: str, files: Mapping[int, str], *, of_provider: bool) -> None:
    """Judge the layers of one band together: one in another unit than its neighbours, no carbon, no stones.

    Args:
        profile: upper depth [cm] -> median of the grid [1], for stones (`cfvo`) the largest value.
        band: name of the band.
        files: files of each depth.
        of_provider: whether the layers come from the service of the provider, whose units are certain.

    Raises:
        ValueError: a layer in another unit.
    """
    known = sorted((top, value) for top, value in profile.items() if np.isfinite(value))
    for (above, first), (below, second) in zip(known, known[1:], strict=False):
        if first > FALL.get(band, USUAL) * second or second > RISE.get(band, USUAL) * first:
            file = files[below if second < first else above]
            seen = f"{file}: {band} is {1000 * first:.4g} per mille at {above} cm and {1000 * second:.4g} at {below} cm"
            if band == "cfvo":
                if min(first, second) > 0 and max(first, second) > LITTLE_STONES:
                    warnings.warn(f"{seen} at most; if the layers are in different units, convert them", stacklevel=4)
                continue
            raise ValueError(f"{seen} (medians of the grid): the layers are in different units; {_cure(file, 0.1)}")
    if band == "soc" and known:
        _little(files[known[0][0]], f"the median of soc at {known[0][0]} cm", known[0][1], LEAST_CARBON, LITTLE_CARBON, of_provider)
    if band == "cfvo" and (most := max((value for _, value in known), default=0.0)) > 0:
        _little(files[known[0][0]], "the largest cfvo of all layers", most, LEAST_STONES, LITTLE_STONES, of_provider)


def judge_sand(sand: Mapping[int, float], clay: Mapping[int, float], file: str) -> None:
    """Warn of so little sand that it is loess or in per cent, where no silt layer decides.

    Args:
        sand: upper depth [cm] -> median of the grid [1].
        clay: upper depth [cm] -> median of the grid [1].
        file: file of sand.
    """
    least = min(sand, key=lambda top: sand[top])
    silt = 1 - sand[least] - clay[least]
    if sand[least] < LITTLE_SAND and silt > ITS_SILT:
        warnings.warn(
            f"{file}: sand is {1000 * sand[least]:.4g} and clay {1000 * clay[least]:.4g} g kg-1 at {least} cm (medians of the grid), which "
            f"leaves {1000 * silt:.4g} of silt, as in loess; if sand is in per cent, multiply it by 10; with the layers of silt beside it "
            "the sum is checked", stacklevel=3,
        )  # fmt: skip


def _one_of_two(sand: float, clay: float, files: Mapping[str, str]) -> None:
    """Sand or clay in another unit than the other, which their sum does not show."""
    silt = 1 - sand - clay
    seen = f"sand is {1000 * sand:.4g} and clay {1000 * clay:.4g} g kg-1 (medians of the grid)"
    if clay < LEAST_CLAY or (clay < LITTLE_CLAY and silt > NO_DUNE):
        raise ValueError(
            f"{files['clay']}: {seen}; only dunes have so little clay, and no silt; is it in per cent? {_cure(files['clay'], 0.1)}"
        )
    if sand < LEAST_SAND:
        cure = _cure(files["sand"], 0.1)
        raise ValueError(f"{files['sand']}: {seen}; no region has so little sand; is it in per cent? {cure}")


def _little(file: str, what: str, value: float, least: float, little: float, of_provider: bool) -> None:
    if value < least:
        raise ValueError(
            f"{file}: {what} is {1000 * value:.3g} per mille, less than soils have; is it in another unit? {_cure(file, value)}"
        )
    if value < little and not of_provider:
        warnings.warn(
            f"{file}: {what} is {1000 * value:.3g} per mille, which is little; if the layers are not as ISRIC stores them (soc in dg kg-1, "
            "cfvo in cm3 dm-3) but in g kg-1 and per cent, multiply them by 10", stacklevel=5,
        )  # fmt: skip


def _share(pixels: np.ndarray, of: np.ndarray) -> float:
    """Share of some pixels among the known ones."""
    return float(pixels.sum() / max(np.isfinite(of).sum(), 1))


def _looks(whole: float) -> str:
    """Likely unit of a sum that should be 1, or at least a third of it."""
    return next(
        (f"it looks like {unit}; " for factor, unit in ((10, "per cent"), (1000, "fractions of 1")) if 0.3 < whole * factor < 1.1), ""
    )


def _cure(file: str, value: float) -> str:
    """How to convert a layer whose values come out as `value` where about 0.5 is expected."""
    return _UNITS.format(file=file, factor=10 if value > 0.003 else 1000)
