"""Static maps of a region: plant type, zones, elevation, water capacity."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

import numpy as np

from hybridflux.data.land import reader
from hybridflux.data.land.landcover import OUTSIDE
from hybridflux.data.land.layers import ANY, Layer, stack
from hybridflux.data.land.soil import ConstantCapacity
from hybridflux.ingest.config import RegionConfig
from hybridflux.vocabulary import PLANT_TYPES

CROPLAND_OUTSIDE = 0.5  # share of the cropland outside all parcels, above which the parcels seem to cover only a part of the region


@dataclass(frozen=True)
class StaticMaps:
    """Static maps `[y, x]`.

    Attributes:
        plant_type: index into PLANT_TYPES, `OUTSIDE` where there is none.
        soil_capacity: plant-available water capacity [mm].
        zone: number of the zone, 0 for none.
        zone_names: number -> name.
        elevation: elevation [m]; None without a terrain.
        origin: origin of each map; JSON-ready.
    """

    plant_type: np.ndarray
    soil_capacity: np.ndarray
    zone: np.ndarray
    zone_names: dict[int, str]
    elevation: np.ndarray | None
    origin: dict = field(default_factory=dict)


def read_static_maps(config: RegionConfig, catalog: dict) -> StaticMaps:
    """Read all static maps onto the grid.

    Raises:
        ValueError: no pixel has a plant type, or a reader refuses its file.
    """
    geobox, origin = config.region_grid.geobox, {}

    def read(source, **options):
        dataset = catalog[source.dataset]
        return reader(dataset.format)(dataset, source.place, geobox, **options)

    layers, zone, names = [], np.zeros(geobox.shape, np.int32), {}
    if config.zones:
        declared_by_year = catalog[config.zones.dataset].format == "parcels"
        parcels = read(config.zones, **({"year": config.zones.year} if declared_by_year else {}))
        zone, names = parcels.zone, parcels.names
        origin["zones"] = parcels.origin
        layers.append(Layer(config.zones.dataset, parcels.plant_type))  # a declared crop is more reliable than a map of crops
    for source in config.landcover:
        cover = read(source)
        layers.append(Layer(source.dataset, cover.plant_type, ANY if source.over is None else source.over))
        origin.setdefault("landcover", []).append(cover.origin)
    cover = stack(layers)
    plant_type, origin["stack"] = cover.plant_type, cover.origin
    if (plant_type == OUTSIDE).all():
        raise ValueError(f"no pixel of region `{config.id}` has a plant type: the land cover does not reach it or knows none of its codes")
    if "parcels" in origin.get("zones", {}):
        origin["zones"] |= _cropland(config.zones.place, stack(layers[1:]).plant_type, zone)
    elevation = None
    if config.terrain:
        terrain = read(config.terrain, cover=plant_type)
        elevation, origin["terrain"] = terrain.values, terrain.origin
    of_map = config.sources().get("soil")
    soil = read(of_map[0], cover=plant_type) if of_map else ConstantCapacity(config.soil.capacity).on(geobox)
    origin["soil"] = soil.origin
    return StaticMaps(plant_type, soil.values, zone, names, elevation, origin)


def _cropland(place: str, land_cover: np.ndarray, zone: np.ndarray) -> dict[str, float]:
    """Share of the cropland of the land cover in no parcel [1], with a warning where parcels seem to cover a part of the region only."""
    crop = land_cover == PLANT_TYPES.index("CRO")
    if not crop.any():
        return {}
    share = float((zone[crop] == 0).mean())
    if share > CROPLAND_OUTSIDE:
        warnings.warn(
            f"{place}: {share:.0%} of the cropland of the land cover lies in no parcel; if the file covers only a part of the region, name "
            "a folder with the files of all its departments", stacklevel=3,
        )  # fmt: skip
    return {"cropland_without_parcel": round(share, 6)}
