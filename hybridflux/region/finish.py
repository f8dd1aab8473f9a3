"""What is made of all tiles at the end of a run: merged totals, daily series of land covers, maps for GIS."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hybridflux.region import layout
from hybridflux.region.grid import Tile
from hybridflux.region.job import Job
from hybridflux.region.kernel import FLUXES
from hybridflux.region.outputs import SIGN, SPREADS, mapped_days
from hybridflux.region.reduce import Totals
from hybridflux.region.structural import monthly_error
from hybridflux.vocabulary import PLANT_TYPES


def sweep(job: Job) -> None:
    """Remove what killed processes left half written, in the store and beside it; nothing reads it."""
    beside = (path for folder in (job.out, *(job.out / name for name in ("tiles", "totals", "cog"))) for path in folder.glob("*.part"))
    for path in (*beside, *job.store.rglob("*.partial")):
        path.unlink()


def write_totals(job: Job, tiles: Sequence[Tile], attributes: Mapping) -> Totals:
    """Merge the totals of all tiles into `totals.nc` and `series.nc`.

    `total(flux, cell, month, draw)` is carbon in g; a cell is a zone and a plant type. `structural(cell, month,
    draw)` is the error of NEE to be added where the posterior knows its structural error. `series(flux, plant_type, time, draw)`
    is the mean flux over the area of a plant type, day by day and draw by draw.
    """
    import xarray as xr

    merged = Totals.merge(job.totals(tile.id) for tile in tiles)
    cells = sorted(merged.area)
    shape = (len(cells), len(job.calendar.months), 2, job.draws)
    carbon = np.array([merged.carbon[cell] for cell in cells], np.float64).reshape(shape)
    kinds = sorted(merged.series)
    area = np.array([merged.area[cell] for cell in cells])
    of_kind = np.array([sum(value for (_, kind), value in merged.area.items() if kind == one) for one in kinds])
    daily = np.array([merged.series[one] for one in kinds]).reshape(len(kinds), len(job.calendar.mapped), 2, job.draws)
    common = dict(attributes) | {
        "Conventions": layout.CONVENTIONS, "spread": job.spread, "spread_meaning": SPREADS[job.spread], "sign": SIGN,
        "zone_names": json.dumps(job.region.zone_names), "plant_types": " ".join(PLANT_TYPES),
    }  # fmt: skip
    months = job.calendar.months.astype("datetime64[D]")
    totals = xr.Dataset(
        {
            "total": (
                ("flux", "cell", "month", "draw"),
                _three(np.moveaxis(carbon, 2, 0)),
                {"units": "g", "long_name": "carbon of the cell and month"},
            )
        },
        coords={
            "flux": list(FLUXES),
            "month": ("month", months.astype("datetime64[ns]"), {"long_name": "first day of the month"}),
            "draw": np.arange(job.draws),
            "zone": ("cell", np.array([zone for zone, _ in cells], np.int64), {"long_name": "number of the zone, 0 for none"}),
            "plant_type": ("cell", np.array([kind for _, kind in cells], np.int64), {"long_name": "index into the attribute plant_types"}),
            "area": ("cell", area, {"units": "m2", "long_name": "true area of the mapped pixels", "standard_name": "cell_area"}),
            "days": ("month", mapped_days(job.calendar, "monthly"), {"units": "1", "long_name": "mapped days in the month"}),
        },
        attrs=common,
    )
    if job.posterior.structure is not None:
        month_of_day = np.searchsorted(months, job.calendar.mapped, side="right") - 1
        error = monthly_error(job.posterior.structure, carbon, area, month_of_day, job.seed)
        named = {"units": "g", "long_name": "structural error of NEE, carbon of the cell and month", "comment": "not part of total"}
        totals["structural"] = (("cell", "month", "draw"), error, named)
    mean = _three(np.moveaxis(daily, 2, 0)) / of_kind.reshape(1, -1, 1, 1)
    series = xr.Dataset(
        {
            "series": (
                ("flux", "plant_type", "time", "draw"), mean.astype(np.float32),
                {"units": "g m-2 day-1", "comment": "grams of carbon", "long_name": "mean over the area of the plant type"},
            )
        },
        coords={
            "flux": list(FLUXES), "plant_type": [PLANT_TYPES[kind] for kind in kinds], "time": job.calendar.mapped.astype("datetime64[ns]"),
            "draw": np.arange(job.draws), "area": ("plant_type", of_kind, {"units": "m2"}),
        },
        attrs=common,
    )  # fmt: skip
    for name, data in (("totals", totals), ("series", series)):
        partial = job.out / f"{name}.part"
        data.to_netcdf(partial, engine="h5netcdf")
        os.replace(partial, job.out / f"{name}.nc")
    return merged


def _three(pair: np.ndarray) -> np.ndarray:
    """NEE, GPP and RECO on axis 0, from GPP and RECO."""
    return np.stack([pair[1] - pair[0], pair[0], pair[1]])


def write_cogs(job: Job, tiles: Sequence[Tile], attributes: Mapping) -> list[Path]:
    """Cloud-optimised GeoTIFFs of mean and sd: one for each flux and year, and one with a band for each month of the year."""
    import zarr

    store = zarr.open_group(job.store, mode="r")
    years = job.calendar.years
    written = []
    for flux in FLUXES:
        for ending in ("", "_sd"):
            for number, (year, (first, end)) in enumerate(zip(years, job.calendar.months_of_years, strict=True)):
                months = [str(month) for month in job.calendar.months[first:end]]
                for group, window, bands in (("annual", slice(number, number + 1), [str(year)]), ("monthly", slice(first, end), months)):
                    array = store[group][flux + ending]
                    path = job.out / "cog" / f"{flux}{ending}_{group}_{year}.tif"
                    _write_cog(path, job, tiles, array, window, bands, dict(attributes))
                    written.append(path)
    return written


def _write_cog(path: Path, job: Job, tiles: Sequence[Tile], array, window: slice, bands: list[str], attributes: dict) -> None:
    """One file, copied tile by tile so that a large region fits into memory; what has no tile is not stored."""
    import rasterio
    import rasterio.shutil
    from rasterio.windows import Window

    grid, scratch, partial = job.region.grid, path.with_suffix(".scratch.part"), path.with_suffix(".part")
    profile = dict(
        driver="GTiff", dtype="float32", count=len(bands), height=grid.shape[0], width=grid.shape[1], crs=grid.crs,
        transform=grid.geobox.affine, nodata=np.nan, tiled=True, blockxsize=256, blockysize=256, interleave="band", BIGTIFF="IF_SAFER",
        SPARSE_OK="TRUE",
    )  # fmt: skip
    with rasterio.open(scratch, "w", **profile) as file:
        for tile in tiles:
            raw = array[window, tile.y, tile.x]
            values = np.where(raw == layout.NODATA, np.nan, raw * np.float32(array.attrs["scale_factor"])).astype(np.float32)
            file.write(values, window=Window(tile.x.start, tile.y.start, tile.shape[1], tile.shape[0]))
        file.update_tags(**{name: array.attrs[name] for name in ("units", "long_name", "comment", "cell_methods")})
        file.update_tags(spread_meaning=SPREADS[job.spread], sign=SIGN, **attributes)
        for number, band in enumerate(bands, 1):
            file.set_band_description(number, band)
            file.set_band_unit(number, array.attrs["units"])
    resampling = "nearest" if path.stem.split("_")[1] == "sd" else "average"  # the mean of sds is not the sd of the mean
    rasterio.shutil.copy(
        scratch, partial, driver="COG", compress="ZSTD", predictor=3, overview_resampling=resampling, overview_compress="ZSTD",
        sparse_ok="YES",
    )  # fmt: skip
    scratch.unlink()
    os.replace(partial, path)
