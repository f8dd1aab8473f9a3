"""What the pixels of one Sentinel-2 scene show of its BOA offset: whether the stored numbers still hold 1000 (reflectance 0.1) or not.

The difference of near infrared and red does not depend on the offset, so it identifies vegetation before the offset is known; and sunlit
vegetation is dark in the red. A scene without vegetation shows less: bare land may be dark or bright, and only a red reflectance far below
zero is impossible. Shadow, snow, cloud and the lowest numbers of a file are no evidence: in cast shadow, and at the edge of a swath, 1 is
stored whatever the offset (and Element84 stores 1 for what became zero or less when it took the offset out: earth-search issue 23).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SHIFT = -0.1
"""What has to be added where the offset is still in [1]: BOA_ADD_OFFSET = -1000 over QUANTIFICATION_VALUE = 10000."""
RED, NEAR_INFRARED, CLASSES = "B04", ("B08", "B8A"), "SCL"
"""Bands by which the offset of Sentinel-2 is judged, and the one of its scene classification."""
LAND, WATER = (4, 5), 6
"""Classes of the scene classification (SCL) that are evidence: vegetation and bare land; water where there is no such land. Not 2 (dark
areas, among them cast shadow), 3, 7 (unclassified, often haze) to 11 (snow)."""
FEWEST = 30
"""Pixels below which a kind of land is no evidence."""
_ENOUGH = 100  # pixels of vegetation from which on they count in full
SHARE = 0.01
"""Share of the land below which vegetation is no evidence."""
_FLOOR, _BRIGHT = 2e-4, 0.6
"""Red of land before any offset [1]: up to the first it is the floor of the file, DN 1; above the second snow, or cloud without a mask."""
_VEGETATION = 0.2
"""Near infrared minus red from which on a pixel is taken as sunlit vegetation."""
_BARE = 0.1  # near infrared minus red below which it is taken as bare
_BETWEEN = 0.10
"""Median red of the quarter of the vegetation with the greatest difference at which both offsets are as likely. Without offset it was 0.006
to 0.107 on all 106 dates with 200 pixels of land and more, up to 0.091 on nineteen of twenty (Flanders 2017-2018, Slovenia 2021); with the
offset left in it is greater by 0.1."""
_SLOPE = 200.0  # log odds by reflectance: a factor of e for 0.005
_SOIL, _SOIL_SD = 0.20, 0.06
"""Red reflectance of bare land, and its standard deviation: assumed, so that 0.08 to 0.32 hold 95 % of it. Medians of a date were 0.04 to
0.18 in Flanders and 0.10 to 0.23 in Slovenia, in a humid climate."""
_DARKEST = 12.0  # greatest log odds that numbers are free of the offset: red of vegetation would be far below zero with it


@dataclass(frozen=True)
class Sample:
    """Scaled numbers of a scene before any offset, on the same places for all scenes of a series.

    Attributes:
        red: `[place]` [1], NaN where missing.
        nir: near infrared `[place]` [1], NaN where missing; all NaN where the scene has none.
        land: `[place]`, whether it is clear land.
        water: `[place]`, whether it is clear water.
        screened: whether a mask has removed clouds; else bright pixels may be clouds.
    """

    red: np.ndarray
    nir: np.ndarray
    land: np.ndarray
    water: np.ndarray
    screened: bool = True

    @property
    def contrast(self) -> np.ndarray:
        """Near infrared minus red `[place]` [1], free of the offset."""
        return self.nir - self.red

    def thinned(self, places: int = 8192) -> Sample:
        """Evenly spaced places, at most `places`."""
        step = max(1, -(-len(self.red) // places))
        return Sample(*(part[::step].copy() for part in (self.red, self.nir, self.land, self.water)), self.screened)


@dataclass(frozen=True)
class Evidence:
    """Evidence of the pixels of a scene on its offset.

    Attributes:
        log_odds: natural logarithm of the odds that the numbers are free of the offset; below zero if they seem to hold it.
        pixel_kind: kind of the pixels; empty without evidence.
        pixels: number of pixels.
        band: quantity of `median`.
        median: median of these pixels before any offset [1].
    """

    log_odds: float = 0.0
    pixel_kind: str = ""
    pixels: int = 0
    band: str = "red"
    median: float = float("nan")


def sample_of(red: np.ndarray, nir: np.ndarray | None, clear: np.ndarray, labels: np.ndarray | None, screened: bool = True) -> Sample:
    """A sample from images of any shape.

    Args:
        red: scaled numbers [1].
        nir: scaled numbers [1], None if there are none.
        clear: whether a pixel is clear.
        labels: scene classification (SCL); None where the product has another mask, whose clear pixels are all taken as land.
        screened: whether `clear` comes from a mask.
    """
    near = np.full_like(red, np.nan) if nir is None else nir
    known = clear & (red > _FLOOR) & (red < _BRIGHT)
    land = known if labels is None else known & np.isin(labels, LAND)
    water = np.zeros_like(known) if labels is None else clear & np.isfinite(near) & (labels == WATER)
    return Sample(red.ravel(), near.ravel(), land.ravel(), water.ravel(), screened)


def evidence(sample: Sample) -> Evidence:
    """Evidence of the best kind of pixels: vegetation, else bare land, else water; without near infrared the darker land.

    Only vegetation can show impossible reflectances so clearly that it overrules the metadata of a product; bright land never does.
    """
    seen = _evidence(sample)
    return seen if sample.screened else replace(seen, log_odds=max(seen.log_odds, -1.0))


def _evidence(sample: Sample) -> Evidence:
    contrast = sample.contrast
    paired = sample.land & np.isfinite(contrast)
    if paired.any():
        green = paired & (contrast >= _VEGETATION)
        if green.sum() >= max(FEWEST, SHARE * paired.sum()):
            return _of_vegetation(sample.red[green], contrast[green])
        if paired.sum() >= FEWEST:
            return _of_bare_land(sample.red[paired], contrast[paired])
    elif sample.land.sum() >= FEWEST:
        return _of_red_alone(sample.red[sample.land])
    if sample.water.sum() >= FEWEST:
        return _of_water(sample.nir[sample.water])
    return Evidence()


def _of_vegetation(red: np.ndarray, contrast: np.ndarray) -> Evidence:
    greenest = contrast >= np.quantile(contrast, 0.75)
    median = float(np.median(red[greenest]))
    green = float(np.median(contrast[greenest]))  # ripe wheat has a contrast of 0.22 and a red of 0.15; the greener, the clearer
    log_odds = float(np.clip(_SLOPE * (_BETWEEN - median), -np.clip(30.0 * (green - 0.18), 1.0, 8.0), _DARKEST))
    return Evidence(log_odds * min(1.0, len(red) / _ENOUGH), "vegetation", int(greenest.sum()), "red", median)


def _of_bare_land(red: np.ndarray, contrast: np.ndarray) -> Evidence:
    bare = contrast < _BARE
    bare = bare if bare.sum() >= FEWEST else np.ones_like(bare)
    median = float(np.median(red[bare]))
    distance, with_offset = ((value - _SOIL) / _SOIL_SD for value in (median, median + SHIFT))
    log_odds = (min(with_offset**2, 4.0) if with_offset > 0 else with_offset**2) / 2 - min(distance**2, 4.0) / 2
    possible = 0.8 + _SLOPE * max(0.0, -(median + SHIFT))  # with the offset in, dark soil and forests of the winter look like soil without
    return Evidence(float(np.clip(log_odds, -2.0, min(possible, 8.0))), "bare land", int(bare.sum()), "red", median)


def _of_red_alone(red: np.ndarray) -> Evidence:
    """Without near infrared: the darker quarter, which vegetation makes dark; if brighter, soil and offset cannot be distinguished."""
    darker, impossible = float(np.quantile(red, 0.25)), float(np.mean(red < -SHIFT - 0.03))
    log_odds = 100.0 * (_BETWEEN - darker) if darker < _BETWEEN else 2.0 * min(impossible / 0.05, 1.0) if impossible > 0.01 else -1.0
    return Evidence(min(log_odds, 6.0), "darker land", int((red <= darker).sum()), "red", darker)


def _of_water(nir: np.ndarray) -> Evidence:
    """Water reflects hardly any near infrared; shadow and sun glint are taken for water too."""
    median = float(np.median(nir))
    return Evidence(float(np.clip(100.0 * (0.08 - median), -4.0, 4.0)), "water", len(nir), "near infrared", median)


_ALIKE, _APART = 0.03, 0.2
"""Change of the contrast up to which land is taken as unchanged between two dates; change of red from which on it is not: snow, flood."""
_SAME_SD, _JUMP_SD, _LEAST_FIT = 0.04, 0.02, -5.0
"""Standard deviation of the change of red of such land where the offset stays (haze adds up to 0.07 to a date, to both bands) and about 0.1
where it does not (assumed), and the least log likelihood of a change."""


def difference(earlier: Sample, later: Sample) -> float | None:
    """Median change of the stored red reflectance from one date to another, of land that has kept its contrast.

    Where an offset comes or goes between two dates it is 0.1; growth and harvest change the contrast too. None if there is too little such
    land, or if it has changed beyond that.
    """
    kept = earlier.land & later.land & (np.abs(later.contrast - earlier.contrast) < _ALIKE)
    change = float(np.median((later.red - earlier.red)[kept])) if kept.sum() >= FEWEST else np.inf
    return change if abs(change) < _APART else None


def passed_on(log_odds: float, change: float | None, persistence: float) -> float:
    """Evidence of one date for another: log odds that the other is free of the offset.

    Args:
        log_odds: log odds that the first is free of the offset.
        change: change of red between them, see `difference`.
        persistence: log odds that both have the same offset without a comparison; a third of it counts beside a measured change.
    """

    def fit(expected: float, sd: float) -> float:
        return 0.0 if change is None else max(-(((change - expected) / sd) ** 2) / 2, _LEAST_FIT)

    same, gained, lost = fit(0.0, _SAME_SD), fit(-SHIFT, _JUMP_SD), fit(SHIFT, _JUMP_SD)
    same += persistence if change is None else persistence / 3
    return float(np.logaddexp(log_odds + same, lost) - np.logaddexp(log_odds + gained, same))
