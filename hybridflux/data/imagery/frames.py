"""From frames, the single images of a product, to scenes: one mosaic of masked reflectance for each day."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Band, Dataset, Mask
from hybridflux.data.imagery import window
from hybridflux.data.imagery.masks import clear_on, cloudy_on
from hybridflux.data.imagery.offset_evidence import CLASSES, NEAR_INFRARED, RED, Sample, sample_of
from hybridflux.data.imagery.offset_frames import judged, judged_windows
from hybridflux.data.imagery.offset_series import Declared
from hybridflux.data.imagery.scene import Scene

DEGREES_PER_HOUR = 15.0
_SCALED = 0.01  # a scale at most this large means stored whole numbers


@dataclass(frozen=True)
class FrameBand:
    """A band of a frame: `scale * stored + offset`.

    Attributes:
        image: function that returns the stored numbers; called when they are needed.
        scale: factor on the stored number.
        offset: added after the factor.
        resolution: size of its pixels [m], where known before opening.
        reflective: whether it is a reflectance, not an angle or label.
    """

    image: Callable[[], window.Image]
    scale: float = 1.0
    offset: float = 0.0
    resolution: float | None = None
    reflective: bool = True


@dataclass(frozen=True)
class Frame:
    """One image of one acquisition, on the grid of its producer.

    Attributes:
        id: name of the product.
        day: solar day.
        grid: grid of the frame.
        layers: band name -> band.
        masks: rules and their labels; a pixel is clear if all rules agree.
        absent: missing parts of an incomplete product, one sentence for messages.
        origin: files, baseline and offsets, JSON-ready.
        rank: order in a mosaic; frames of lower rank lie above.
        declared: BOA offset by its metadata; None where the offsets of the bands hold.
        tile: tile of its producer; frames of one tile show one area.
        correction: function that returns the correction of the reflectance of all bands [1], None if the frame has to be left out.
    """

    id: str
    day: np.datetime64
    grid: GeoBox
    layers: Mapping[str, FrameBand]
    masks: Sequence[tuple[Mask, FrameBand]] = ()
    absent: str = ""
    origin: dict = field(default_factory=dict)
    rank: int = 0
    declared: Declared | None = None
    tile: str = ""
    correction: Callable[[], float | None] = lambda: 0.0

    def read(self, geobox: GeoBox, bands: Sequence[str]) -> dict[str, np.ndarray]:
        """Reflectance of the clear land on a grid, see `Scene.read`."""
        missing = [band for band in bands if band not in self.layers]
        if missing:
            raise ValueError(f"{self.id} has no {', '.join(missing)}; {self.absent or 'it has ' + ', '.join(self.layers)}")
        hidden = ~_clear_land(self.masks, geobox) if window.overlaps(self.grid, geobox) else np.ones(geobox.shape.yx, bool)
        if hidden.all():
            return {band: np.full(geobox.shape.yx, np.float32(np.nan)) for band in bands}
        out = {}
        for band in bands:
            layer = self.layers[band]
            image = layer.image()
            stored = window.values(image, geobox)
            stored[hidden] = np.nan
            _check_scale(stored, layer, image.name)
            out[band] = stored
        self._drop_zeros(out, geobox)
        correct = any(self.layers[band].reflective for band in bands) and any(np.isfinite(stored).any() for stored in out.values())
        correction = self.correction() if correct else 0.0
        if correction is None:
            return {band: np.full(geobox.shape.yx, np.float32(np.nan)) for band in bands}
        for band, stored in out.items():
            layer = self.layers[band]
            out[band] = stored * np.float32(layer.scale) + np.float32(layer.offset + correction * layer.reflective)
        return out

    def _drop_zeros(self, stored: Mapping[str, np.ndarray], geobox: GeoBox) -> None:
        """See `drop_zeros`; a band that is read alone is compared with another one at its zeros."""
        numbers = [values for band, values in stored.items() if self.layers[band].reflective]
        if len(numbers) == 1 and (numbers[0] == 0.0).any():
            others = [band for band, layer in self.layers.items() if layer.reflective and band not in stored]
            near = next((band for band in (*NEAR_INFRARED, *others) if band in others), None)
            numbers += [window.values(self.layers[near].image(), geobox)] if near else []
        drop_zeros(numbers)

    def sample(self, geobox: GeoBox) -> Sample | None:
        """Red and near infrared before any offset, of the pixels by which the offset is judged; None without a red band."""
        near = next((band for band in NEAR_INFRARED if band in self.layers), None)
        if RED not in self.layers:
            return None
        parts = []
        for box in judged_windows(geobox):
            numbers = [self._scaled(band, box) if band else np.full(box.shape.yx, np.float32(np.nan)) for band in (RED, near)]
            labels = next((window.labels(layer.image(), box) for mask, layer in self.masks if mask.band == CLASSES), None)
            parts.append(sample_of(*numbers, _clear_land(self.masks, box), labels))
        joined = [np.concatenate([getattr(part, name) for part in parts]) for name in ("red", "nir", "land", "water")]
        return Sample(*joined, screened=bool(self.masks))

    def _scaled(self, band: str, geobox: GeoBox) -> np.ndarray:
        return window.values(self.layers[band].image(), geobox) * np.float32(self.layers[band].scale)

    def clouded(self, geobox: GeoBox, band: str) -> np.ndarray:
        """Whether the mask calls a pixel not clear `[y, x]`; false where a band has no value, beyond the edge of a swath."""
        hidden = np.zeros(geobox.shape.yx, bool)
        for mask, layer in self.masks:
            image = layer.image()
            hidden |= cloudy_on(mask, geobox, partial(window.labels, image), abs(image.grid.resolution.x))
        return hidden & np.isfinite(window.values(self.layers[band].image(), geobox)) if hidden.any() else hidden


def is_reflectance(band: Band) -> bool:
    """Whether a band of the catalog is a reflectance, not an angle."""
    return band.units == "1"


def drop_zeros(stored: Sequence[np.ndarray]) -> None:
    """Set to NaN, in place, the pixels that are 0 in all of several bands: no surface reflects nothing, whatever value is declared missing.

    Beyond the swath MAJA stores 0 in some products (those of early 2022) and -10000 in others. One band alone may be cut at zero.
    """
    if len(stored) < 2:
        return
    nothing = np.all([numbers == 0.0 for numbers in stored], axis=0)
    for numbers in stored:
        numbers[nothing] = np.nan


def _check_scale(stored: np.ndarray, layer: FrameBand, name: str) -> None:
    """Refuse stored numbers with fractions below two, which are reflectance already, whatever scale the catalog gives."""
    known = stored[np.isfinite(stored)]
    if layer.scale <= _SCALED and known.size and known.max() < 2.0 and (known % 1 != 0).any():
        raise ValueError(
            f"{name} holds numbers up to {known.max():.3g}: reflectance already, and the catalog multiplies by {layer.scale:g}; "
            "write a dataset with scale = 1"
        )


def _clear_land(masks: Sequence[tuple[Mask, FrameBand]], geobox: GeoBox) -> np.ndarray:
    """Whether all masks are clear `[y, x]`."""
    land = np.ones(geobox.shape.yx, bool)
    for mask, layer in masks:
        image = layer.image()
        land &= clear_on(mask, geobox, partial(window.labels, image), abs(image.grid.resolution.x))
    return land


def solar_day(time: np.datetime64, longitude: float) -> np.datetime64:
    """Solar day at a longitude: UTC shifted by an hour for 15 degrees.

    >>> solar_day(np.datetime64("2020-06-01T23:30"), 140.0)
    np.datetime64('2020-06-02')
    """
    return (time + np.timedelta64(round(3600 * longitude / DEGREES_PER_HOUR), "s")).astype("datetime64[D]")


def solar_day_at(time: np.datetime64, grid: GeoBox) -> np.datetime64:
    """Solar day in the middle of an image."""
    return solar_day(time, grid.extent.centroid.to_crs("EPSG:4326").coords[0][0])


def scenes(frames: Iterable[Frame], dataset: Dataset, geobox: GeoBox, start: np.datetime64, end: np.datetime64) -> list[Scene]:
    """One scene for each day with a frame that touches the grid, in order of days.

    Frames of one day are neighbours: a pixel takes its value from the first, by rank and name, that has one, unless another calls it
    cloudy. Bands with a coarser resolution than that of the catalog are warned of.
    """
    wanted = [frame for frame in frames if start <= frame.day <= end and window.overlaps(frame.grid, geobox, _name(frame))]
    wanted.sort(key=lambda frame: (frame.day, frame.rank, frame.id))
    _warn_of_coarse(wanted, dataset)
    wanted = judged(wanted, geobox)
    return [_scene(day, list(group)) for day, group in groupby(wanted, key=lambda frame: frame.day)]


def _name(frame: Frame) -> str:
    """A frame and where it was read from, for messages."""
    place = frame.origin.get("place") or ", ".join(frame.origin.get("files", [])[:2])
    return f"{frame.id} ({place})" if place else frame.id


def _scene(day: np.datetime64, frames: list[Frame]) -> Scene:
    offered = [band for band in frames[0].layers if all(band in frame.layers for frame in frames)]
    origin = {"bands": offered, "frames": [frame.origin for frame in frames]}
    return Scene("+".join(frame.id for frame in frames), day, lambda geobox, bands: mosaic(frames, geobox, bands), origin)


def mosaic(frames: Sequence[Frame], geobox: GeoBox, bands: Sequence[str]) -> dict[str, np.ndarray]:
    """Frames of one day on one grid.

    A pixel takes all its bands from the first frame that has all of them, else each from the first that has it. It is clear only if no
    frame that shows it says otherwise: overlapping neighbours are processed separately from the same view, and a cloud that one of them
    detects is real.
    """
    near = [frame for frame in frames if window.overlaps(frame.grid, geobox)] or frames[:1]
    out = near[0].read(geobox, bands)
    for frame in near[1:]:
        if not any(np.isnan(values).any() for values in out.values()):
            break
        more = frame.read(geobox, bands)
        whole = np.all([np.isfinite(values) for values in out.values()], axis=0)
        better = ~whole & np.all([np.isfinite(values) for values in more.values()], axis=0)
        for band, values in out.items():
            values[better] = more[band][better]
            empty = np.isnan(values)
            values[empty] = more[band][empty]
    for frame in near if len(near) > 1 else ():
        if any(np.isfinite(values).any() for values in out.values()):
            hidden = frame.clouded(geobox, bands[0])
            for values in out.values():
                values[hidden] = np.nan
    return out


def _warn_of_coarse(frames: Sequence[Frame], dataset: Dataset) -> None:
    nominal = {band.name: band.resolution for band in dataset.bands if band.resolution}
    coarse: dict[str, list[str]] = {}
    for frame in frames:
        for name, layer in frame.layers.items():
            if layer.resolution and name in nominal and layer.resolution > nominal[name]:
                coarse.setdefault(f"{name} at {layer.resolution:g} m instead of {nominal[name]:g} m", []).append(frame.id)
    if coarse:
        where = next(iter(coarse.values()))[0]
        count = len({frame for frames in coarse.values() for frame in frames})
        warnings.warn(f"{count} images of {dataset.id} have {', '.join(coarse)}, for instance {where}", stacklevel=3)
