"""What is made of the totals of all tiles at the end of a run: carbon per zone, daily series of land covers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

import numpy as np

from hybridflux.region import layout
from hybridflux.region.grid import Tile
from hybridflux.region.job import Job
from hybridflux.region.kernel import FLUXES
from hybridflux.region.merge import Merged
from hybridflux.region.outputs import SIGN, SPREADS
from hybridflux.region.periods import mapped_days
from hybridflux.region.structural import ErrorPaths
from hybridflux.vocabulary import PLANT_TYPES


def sweep(job: Job) -> None:
    """Remove what killed processes left half written, in the store and beside it; nothing reads it."""
    beside = (path for folder in (job.out, *(job.out / name for name in ("tiles", "totals", "cog"))) for path in folder.glob("*.part"))
    for path in (*beside, *job.store.rglob("*.partial")):
        path.unlink()


def write_totals(job: Job, tiles: Sequence[Tile], attributes: Mapping) -> None:
    """Merge the totals of all tiles into `totals.nc` and `series.nc`, each whole or not at all.

    `total(flux, cell, month, draw)` is carbon in g; a cell is a zone and a plant type. `structural(cell, month,
    draw)` is the error of NEE to be added where the posterior knows its structural error. `series(flux, plant_type, time, draw)`
    is the mean flux over the area of a plant type, day by day and draw by draw.
    """
    merged = Merged.of(job.totals(tile.id) for tile in tiles)
    common = dict(attributes) | {
        "Conventions": layout.CONVENTIONS, "spread": job.spread, "spread_meaning": SPREADS[job.spread], "sign": SIGN,
        "zone_names": json.dumps(job.region.zone_names), "plant_types": " ".join(PLANT_TYPES),
    }  # fmt: skip
    for name, write in (("totals", _write_carbon), ("series", _write_series)):
        partial = job.out / f"{name}.part"
        write(partial, job, merged, common)
        os.replace(partial, job.out / f"{name}.nc")


def _write_carbon(path, job: Job, merged: Merged, attributes: Mapping) -> None:
    """The coordinates first, then carbon, group by group of cells."""
    import h5netcdf
    import xarray as xr

    months = job.calendar.months.astype("datetime64[D]")
    xr.Dataset(
        coords={
            "flux": list(FLUXES),
            "month": ("month", months.astype("datetime64[ns]"), {"long_name": "first day of the month"}),
            "draw": np.arange(job.draws),
            "zone": ("cell", merged.zone, {"long_name": "number of the zone, 0 for none"}),
            "plant_type": ("cell", merged.plant_type, {"long_name": "index into the attribute plant_types"}),
            "area": ("cell", merged.area, {"units": "m2", "long_name": "true area of the mapped pixels", "standard_name": "cell_area"}),
            "days": ("month", mapped_days(job.calendar, "monthly"), {"units": "1", "long_name": "mapped days in the month"}),
        },
        attrs=attributes,
    ).to_netcdf(path, engine="h5netcdf")
    paths = None
    if job.posterior.structure is not None:
        month_of_day = np.searchsorted(months, job.calendar.mapped, side="right") - 1
        paths = ErrorPaths.of(job.posterior.structure, job.draws, month_of_day, job.seed)
    with h5netcdf.File(path, "a") as file:
        total = file.create_variable("total", ("flux", "cell", "month", "draw"), np.float64)
        total.attrs.update({"units": "g", "long_name": "carbon of the cell and month"})
        if paths is not None:
            error = file.create_variable("structural", ("cell", "month", "draw"), np.float64)
            named = {"units": "g", "long_name": "structural error of NEE, carbon of the cell and month", "comment": "not part of total"}
            error.attrs.update(named)
        for cells, carbon in merged.groups((len(months), 2, job.draws)):
            gpp, reco = carbon[:, :, 0], carbon[:, :, 1]
            for number, values in enumerate((reco - gpp, gpp, reco)):  # as in FLUXES
                total[number, cells] = values
            if paths is not None:
                error[cells] = paths.monthly_error(carbon, merged.area[cells])


def _write_series(path, job: Job, merged: Merged, attributes: Mapping) -> None:
    """Means over the area of each plant type."""
    import xarray as xr

    kinds = list(merged.series)
    area = np.array([merged.area[merged.plant_type == kind].sum() for kind in kinds])
    daily = np.array([merged.series[kind] for kind in kinds]).reshape(len(kinds), len(job.calendar.mapped), 2, job.draws)
    gpp, reco = daily[:, :, 0], daily[:, :, 1]
    mean = np.stack([reco - gpp, gpp, reco]) / area.reshape(1, -1, 1, 1)
    xr.Dataset(
        {
            "series": (
                ("flux", "plant_type", "time", "draw"), mean.astype(np.float32),
                {"units": "g m-2 day-1", "comment": "grams of carbon", "long_name": "mean over the area of the plant type"},
            )
        },
        coords={
            "flux": list(FLUXES), "plant_type": [PLANT_TYPES[kind] for kind in kinds], "time": job.calendar.mapped.astype("datetime64[ns]"),
            "draw": np.arange(job.draws), "area": ("plant_type", area, {"units": "m2"}),
        },
        attrs=attributes,
    ).to_netcdf(path, engine="h5netcdf")  # fmt: skip
