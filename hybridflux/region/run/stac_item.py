"""A run as a STAC item: `item.json`, by which catalogs and GIS find its maps (STAC 1.1; extensions projection 2.0 and processing 1.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np

from hybridflux.region.outputs.cogs import File, files
from hybridflux.region.spec import Job

EXTENSIONS = tuple(
    f"https://stac-extensions.github.io/{name}/schema.json" for name in ("projection/v2.0.0", "processing/v1.2.0")
)  # fmt: skip
FILE = "item.json"
EDGE_POINTS = 16  # along each side of the grid, so that its outline in degrees follows its curved edges
DEGREES = 7  # decimals of a longitude: a centimetre


def item_of(job: Job, record: Mapping) -> dict:
    """The STAC item of a finished run, as plain values; addresses are relative to the run folder.

    Args:
        job: the run.
        record: what `run.json` holds.
    """
    import pystac

    outline = _outline(job)
    first, last = (_instant(job, day) for day in (job.calendar.mapped[0], job.calendar.mapped[-1] + 1))
    origin = record["provenance"]
    properties = {
        "title": record["title"],
        "description": f"Grams of carbon at {job.region.grid.pixel:g} m. {record['sign']}. {record['spread_meaning']}.",
        "license": "other",
        "created": _utc(datetime.fromisoformat(origin["time"])),
        "gsd": job.region.grid.pixel,
        "processing:software": {"hybridflux": str(origin["hybridflux"])},
        "processing:datetime": _utc(datetime.fromisoformat(origin["time"])),
        "processing:lineage": f"hybridflux map, configuration {record['config_hash']}; changes: {' '.join(job.spec.changes) or 'none'}",
        "hybridflux:config_hash": record["config_hash"],
        "hybridflux:spread": job.spread.value,
        "hybridflux:draws": job.draws,
        "hybridflux:days": len(job.calendar.mapped),
        "hybridflux:sign": record["sign"],
        "hybridflux:credit": list(record.get("attribution", ())),
        **_projection(job),
    }
    item = pystac.Item(
        id=f"{re.sub(r'[^A-Za-z0-9_-]+', '-', job.out.resolve().name)}-{record['config_hash'][:12]}",
        geometry=outline, bbox=_box(outline), datetime=None, start_datetime=first, end_datetime=last - timedelta(seconds=1),
        properties=properties, stac_extensions=list(EXTENSIONS),
    )  # fmt: skip
    item.common_metadata.providers = [
        pystac.Provider("hybridflux", f"version {origin['hybridflux']}", [pystac.ProviderRole.PROCESSOR]),
        *(pystac.Provider(text.partition(":")[0], text, [pystac.ProviderRole.PRODUCER]) for text in record.get("attribution", ())),
    ]
    for name, asset in _assets(job).items():
        item.add_asset(name, asset)
    return item.to_dict(include_self_link=False)


def _assets(job: Job) -> dict:
    """Key -> asset."""
    from pystac import Asset, MediaType

    found = {
        "fluxes": Asset("./fluxes.zarr", "maps of months and years, and of days where asked for", None, MediaType.ZARR, ["data"]),
        "posterior": Asset("./posterior.nc", "posterior draws of the run", None, "application/netcdf", ["metadata"]),
        "run": Asset("./run.json", "configuration, provenance and what was masked", None, MediaType.JSON, ["metadata"]),
    }
    for output in (one for one in job.keep if one.file):
        found[output.name] = Asset(f"./{output.file}", output.title, None, "application/netcdf", ["data"])
    for file in files(job):
        roles = ["data", "uncertainty"] if file.array.name.endswith("_sd") else ["data"]
        found[file.name] = Asset(f"./cog/{file.name}.tif", _title(file), None, MediaType.COG, roles, _of_file(job, file))
    return found


def _title(file: File) -> str:
    days = ", ".join(str(band) for band in file.bands if not band.whole and file.array.group != "record")
    return f"{file.array.long_name}; {file.years}" + (f", only {days}" if days else "")


def _of_file(job: Job, file: File) -> dict:
    """Fields of the asset of a GeoTIFF."""
    units = file.array.units_of(all(band.whole for band in file.bands))
    bands = [{"name": str(band), "unit": units, "data_type": "float32", "nodata": "nan"} for band in file.bands]
    days = (file.bands[0].first, file.bands[-1].last + 1)
    first, last = (_instant(job, day) for day in days)
    when = {"start_datetime": _utc(first), "end_datetime": _utc(last - timedelta(seconds=1))}
    return when | {"bands": bands, "hybridflux:days": sum(band.days for band in file.bands)} | _projection(job)


def _projection(job: Job) -> dict:
    """Fields of the projection extension."""
    from pyproj import CRS

    grid, crs = job.region.grid, CRS.from_user_input(job.region.grid.crs)
    authority = crs.to_authority(min_confidence=100)
    height, width = grid.shape
    return ({"proj:code": ":".join(authority)} if authority else {"proj:code": None, "proj:wkt2": crs.to_wkt("WKT2_2019")}) | {
        "proj:shape": [height, width],
        "proj:transform": [grid.pixel, 0.0, grid.west, 0.0, -grid.pixel, grid.north],
        "proj:bbox": [grid.west, grid.north - height * grid.pixel, grid.west + width * grid.pixel, grid.north],
    }


def _outline(job: Job) -> dict:
    """Outline of the grid in degrees, counter-clockwise: a GeoJSON polygon."""
    from pyproj import Transformer

    grid = job.region.grid
    east, south = grid.west + grid.shape[1] * grid.pixel, grid.north - grid.shape[0] * grid.pixel
    corners = np.array([(grid.west, south), (east, south), (east, grid.north), (grid.west, grid.north), (grid.west, south)])
    steps = np.linspace(0, 1, EDGE_POINTS, endpoint=False)[:, None]
    sides = [start + steps * (end - start) for start, end in zip(corners[:-1], corners[1:], strict=True)]
    x, y = np.concatenate([*sides, corners[:1]]).T
    longitude, latitude = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
    points = [[round(float(one), DEGREES) for one in point] for point in zip(longitude, latitude, strict=True)]
    return {"type": "Polygon", "coordinates": [points]}


def _box(outline: Mapping) -> list[float]:
    """West, south, east, north of an outline [degrees]."""
    points = np.array(outline["coordinates"][0])
    return [*points.min(0).tolist(), *points.max(0).tolist()]


def _instant(job: Job, day: np.datetime64) -> datetime:
    """The beginning of a day of the region, whose days are those of its standard time."""
    hours = float(job.region.group.attrs.get("utc_offset", 0.0))
    return datetime.combine(day.astype("datetime64[D]").item(), datetime.min.time(), UTC) - timedelta(hours=hours)


def _utc(when: datetime) -> str:
    """As STAC writes it: `2018-01-01T00:00:00Z`."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
