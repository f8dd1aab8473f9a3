"""Radiometric calibration of a Sentinel-2 level 2A product from its metadata: `reflectance = (stored + offset) / quantification`.

Since processing baseline 04.00 (January 2022, and in the reprocessed archive) stored numbers are shifted, so that dark surfaces can be a
little below zero; `MTD_MSIL2A.xml` has the offset of each band. Source: Sentinel-2 Products Specification Document 14.9, ESA, level 2A.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np

from hybridflux.limits import shown

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Bands by the `band_id` of the metadata."""
FIRST_WITH_OFFSET = 4.0
"""Processing baseline from which products hold offsets."""


@dataclass(frozen=True)
class RadiometricCalibration:
    """Calibration of a product, from `MTD_MSIL2A.xml`.

    Attributes:
        baseline: processing baseline, `04.00`.
        quantification: stored number of reflectance 1.
        offsets: band -> offset, added to a stored number before the division.
        time: start of sensing, UTC.
    """

    baseline: str
    quantification: float
    offsets: Mapping[str, float]
    time: np.datetime64

    def linear(self, band: str) -> tuple[float, float]:
        """Scale and offset of a band: reflectance [1] is `scale * stored + offset`."""
        return 1.0 / self.quantification, self.offsets[band] / self.quantification


def calibration(xml: bytes | str, name: str) -> RadiometricCalibration:
    """Read `MTD_MSIL2A.xml`.

    Args:
        xml: content of the file.
        name: name of the file, for messages.

    Raises:
        ValueError: not XML to its end, or without baseline, quantification or, from baseline 04.00 on, offsets.
    """
    try:
        return _calibration(xml, name)
    except (TypeError, ValueError, LookupError) as error:
        text = str(error)
        raise ValueError(text if name in text else f"{name} is damaged ({shown(text)}); download the product again") from error


def _calibration(xml: bytes | str, name: str) -> RadiometricCalibration:
    root = _parse(xml, name)
    baseline = _text(root, "PROCESSING_BASELINE", name)
    quantification = float(_text(root, "BOA_QUANTIFICATION_VALUE", name))
    offsets = {_band(entry, root): float(entry.text) for entry in root.iter("BOA_ADD_OFFSET")}
    if not offsets and float(baseline) >= FIRST_WITH_OFFSET:
        raise ValueError(f"{name} is of baseline {baseline} and has no BOA_ADD_OFFSET; the file is incomplete, download it again")
    time = np.datetime64(_text(root, "PRODUCT_START_TIME", name).rstrip("Z"), "ms")
    return RadiometricCalibration(baseline, quantification, dict.fromkeys(BANDS, 0.0) | offsets, time)


def mean_angles(xml: bytes | str, name: str) -> dict[str, float]:
    """Mean angles of a granule [degree] from `MTD_TL.xml`: `sun_zenith`, `sun_azimuth`, `view_zenith`, `view_azimuth` (mean of the bands).

    Empty where the file has none.
    """
    root = _parse(xml, name)
    angles: dict[str, float] = {}
    for prefix, tag in (("sun", "Mean_Sun_Angle"), ("view", "Mean_Viewing_Incidence_Angle")):
        nodes = list(root.iter(tag))
        if not nodes:
            return {}
        zenith, azimuth = (np.radians([float(node.findtext(part)) for node in nodes]) for part in ("ZENITH_ANGLE", "AZIMUTH_ANGLE"))
        turn = np.arctan2(np.sin(azimuth).mean(), np.cos(azimuth).mean())
        angles |= {f"{prefix}_zenith": float(np.degrees(zenith.mean())), f"{prefix}_azimuth": float(np.degrees(turn) % 360.0)}
    return angles


def _parse(xml: bytes | str, name: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise ValueError(f"{name} is not complete XML ({error}); download it again") from error


def _text(root: ElementTree.Element, tag: str, name: str) -> str:
    node = next(root.iter(tag), None)
    if node is None or not (node.text or "").strip():
        raise ValueError(f"{name} has no {tag}; is it MTD_MSIL2A.xml of a Sentinel-2 level 2A product?")
    return node.text.strip()


def _band(entry: ElementTree.Element, root: ElementTree.Element) -> str:
    """The band of an offset: by the list of bands of the file, or by their usual order."""
    number = entry.get("band_id")
    for node in root.iter("Spectral_Information"):
        if node.get("bandId") == number and node.get("physicalBand"):
            physical = node.get("physicalBand").removeprefix("B")
            return "B8A" if physical == "8A" else f"B{int(physical):02d}"
    return BANDS[int(number)]
