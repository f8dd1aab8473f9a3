"""Scenes from STAC: Sentinel-2, HLS, Landsat or MODIS from any service, by the bands, mask and offsets of their TOML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Band, Dataset
from hybridflux.data.imagery import masks
from hybridflux.data.imagery.frames import drop_zeros, is_reflectance, mosaic
from hybridflux.data.imagery.offset_evidence import CLASSES, NEAR_INFRARED, RED, Sample, sample_of
from hybridflux.data.imagery.offset_series import Member, OffsetDecision, Series
from hybridflux.data.imagery.scene import Scene
from hybridflux.data.imagery.stac_items import assets, baseline_of, by_day, processed, tile_of, without_superseded
from hybridflux.data.imagery.stac_offsets import declared
from hybridflux.data.imagery.stac_read import Source
from hybridflux.data.imagery.stac_search import access_of, items_of, longitude, signer_of
from hybridflux.vocabulary import suggestion

if TYPE_CHECKING:
    import pystac

_SAMPLE = 256
"""Pixels along the longer side of the region by which the offset of an item is judged, from the reduced copies in its files."""


def stac_scenes(dataset: Dataset, place: str, geobox: GeoBox, start: np.datetime64, end: np.datetime64) -> list[Scene]:
    """The scenes of a dataset at a STAC service or in a static item collection; see `scene.Reader`.

    Items of one solar day are one scene: neighbouring tiles, also of two UTM zones, are resampled to the grid one by one, masked and
    corrected for their offsets, and then merged, the latest processing first; a pixel that one of them calls cloudy is not clear. Items
    that were processed again are read in their newest baseline.

    Args:
        dataset: entry of the catalog.
        place: name of one of its services, `URL#collection`, or path of a JSON: item, item collection or catalog.
        geobox: grid of the region.
        start: first day.
        end: last day, included.

    Raises:
        ConnectionError: the service fails in all tries.
        FileNotFoundError: no such file.
        ValueError: the place is neither file nor service.
    """
    sign, access = signer_of(dataset, place), access_of(dataset, place)
    days = by_day(items_of(dataset, place, geobox, start, end), longitude(geobox))
    kept = {day: without_superseded(items) for day, items in days.items()}
    sources = {day: [Source(item, access, sign) for item in items] for day, (items, _) in kept.items()}
    series = Series([])
    members = {}
    if dataset.offsets == "sentinel-2":
        members = {id(source): _member(dataset, source, geobox, day) for day, group in sources.items() for source in group}
        series = Series([member for member in members.values() if member])
    out = []
    for day, (items, superseded) in kept.items():
        frames = [
            _ItemFrame(dataset, source, geobox, _origin(dataset, source.item), series, members.get(id(source))) for source in sources[day]
        ]
        offered = [band.name for band in dataset.bands if all(band.name in assets(item, dataset.bands) for item in items)]
        origin = {"place": place, "bands": offered, "items": [frame.origin for frame in frames], "superseded": superseded}
        out.append(Scene("+".join(item.id for item in items), day, partial(_read, frames), origin))
    return out


def _read(frames: Sequence[_ItemFrame], geobox: GeoBox, bands: Sequence[str]) -> dict[str, np.ndarray]:
    return mosaic(frames, geobox, bands)


def _member(dataset: Dataset, source: Source, region: GeoBox, day: np.datetime64) -> Member | None:
    """An item as a member of the series of its tile, whose offsets are judged together; None without a red band."""
    known = {band.name: band for band in dataset.bands}
    if RED not in assets(source.item, dataset.bands):
        return None
    name = f"item {source.item.id}"
    return Member(name, tile_of(source.item) or "", day, declared(source.item, known[RED]), partial(_sample, dataset, source, region))


def _sample(dataset: Dataset, source: Source, region: GeoBox) -> Sample:
    """Scaled red and near infrared of the region, on a coarser grid if it is large, with the label under the centre of a pixel."""
    known, mask = {band.name: band for band in dataset.bands}, dataset.mask
    grid = region if max(region.shape.yx) <= _SAMPLE else region.zoom_out(max(region.shape.yx) / _SAMPLE)
    near = next((name for name in NEAR_INFRARED if name in assets(source.item, dataset.bands)), None)
    red, nir = (known[name].scale * source.sample(grid, known[name]) if name else None for name in (RED, near))
    if mask is None:
        return sample_of(red, nir, np.isfinite(red), None, screened=False)
    labels = source.labels(grid, known[mask.band])
    return sample_of(red, nir, masks.clear(mask, labels, abs(grid.resolution.x)), labels if mask.band == CLASSES else None)


def _origin(dataset: Dataset, item: pystac.Item) -> dict:
    origin = {"id": item.id, "address": item.get_self_href(), "processed": processed(item) or None}
    if dataset.offsets == "catalog":
        return origin
    baseline = baseline_of(item)
    return origin | {"baseline": baseline and f"{baseline[0]:02d}.{baseline[1]:02d}", "offset": None, "offset_from": None}


@dataclass(frozen=True)
class _ItemFrame:
    """One item with its mask and offset, as `frames.mosaic` needs it.

    Attributes:
        dataset: entry of the catalog.
        source: item with the access to its files.
        region: grid of the whole region, by which the offset is judged, so that all tiles have the same.
        origin: provenance, JSON-ready; the first reading of clear land adds the offset that is used, and its evidence.
        series: series of all items, which decides their offsets.
        member: the item in that series; None without a red band.
    """

    dataset: Dataset
    source: Source
    region: GeoBox
    origin: dict
    series: Series
    member: Member | None

    @property
    def grid(self) -> GeoBox:
        """Grid of the item, for the mosaic; that of the region where the item does not give it."""
        return self.source.grid(self._band(self.dataset.bands[0].name)) or self.region

    def read(self, geobox: GeoBox, bands: Sequence[str]) -> dict[str, np.ndarray]:
        """Reflectance of the clear land on a grid, see `Scene.read`; nothing but NaN if the item has to be left out."""
        wanted = {name: self._band(name) for name in bands}
        self.source.require(wanted.values())
        clear = self._clear(geobox)
        offsets = {name: self._offset(band) for name, band in wanted.items()} if clear.any() else {}
        if not offsets or None in offsets.values():
            return {name: np.full(geobox.shape.yx, np.float32(np.nan)) for name in bands}
        out = self.source.values(geobox, wanted)
        drop_zeros([numbers for name, numbers in out.items() if is_reflectance(wanted[name])])
        for name, numbers in out.items():
            numbers *= np.float32(wanted[name].scale)
            numbers += np.float32(offsets[name])
            numbers[~clear] = np.nan
        return out

    def clouded(self, geobox: GeoBox, band: str) -> np.ndarray:
        """Whether the mask calls a pixel not clear, see `frames.Frame.clouded`."""
        mask = self.dataset.mask
        if mask is None:
            return np.zeros(geobox.shape.yx, bool)
        labels = self._band(mask.band)
        size = labels.resolution or abs(geobox.resolution.x)
        hidden = masks.cloudy_on(mask, geobox, lambda grid: self.source.labels(grid, labels), size)
        return hidden & np.isfinite(self.source.values(geobox, {band: self._band(band)})[band]) if hidden.any() else hidden

    def _clear(self, geobox: GeoBox) -> np.ndarray:
        """Whether the mask of the dataset is clear `[y, x]`; true everywhere without a mask."""
        mask = self.dataset.mask
        if mask is None:
            return np.ones(geobox.shape.yx, bool)
        band = self._band(mask.band)
        return masks.clear_on(mask, geobox, lambda grid: self.source.labels(grid, band), band.resolution or abs(geobox.resolution.x))

    def _offset(self, band: Band) -> float | None:
        """Offset of the scaled numbers of a band; None if the item has to be left out."""
        if self.dataset.offsets == "catalog":
            return band.offset
        own = declared(self.source.item, band).value
        if self.member is None:  # no red band to judge by
            self.origin.update(offset=own, offset_from="metadata, no red band to compare with")
            return own
        verdict = self._verdict(self.member)
        agrees = own is not None and verdict.value is not None and (own == 0.0) == (verdict.value == 0.0)
        return own if agrees else verdict.value  # a product may have an offset for each band

    def _verdict(self, member: Member) -> OffsetDecision:
        verdict = self.series.verdict(member)
        self.origin.update(offset=verdict.value, offset_from=verdict.source, offset_evidence=verdict.record)
        return verdict

    def _band(self, name: str) -> Band:
        known = {band.name: band for band in self.dataset.bands}
        if name not in known:
            raise ValueError(f"{self.dataset.id} has no band `{name}` in the catalog; it has {', '.join(known)}.{suggestion(name, known)}")
        return known[name]
