"""What is made of the totals of all tiles at the end of a run: carbon per zone, daily series of land covers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from hybridflux.files import whole_stream
from hybridflux.region.draws.structural_error_paths import ErrorPaths
from hybridflux.region.drivers.map_periods import bounds_of, mapped_days
from hybridflux.region.kernels.cpu import FLUXES
from hybridflux.region.outputs.flux_store import SIGN, SPREADS
from hybridflux.region.outputs.merge_totals import Merged
from hybridflux.region.spec import Job
from hybridflux.region.store import layout
from hybridflux.region.store.grid import Tile
from hybridflux.vocabulary import PLANT_TYPES

DAYS = {"units": layout.TIME_UNITS, "calendar": "standard", "dtype": "int32"}
"""How time is written."""


def write_totals(job: Job, tiles: Sequence[Tile], attributes: Mapping) -> None:
    """Merge the totals of all tiles into `totals.nc` and `series.nc`, each whole or not at all.

    `total(flux, cell, draw, month)` is carbon in g; a cell is a zone and a plant type. `structural(cell, draw, month)` is the error
    of NEE to be added where the posterior knows its structural error. `series(flux, plant_type, draw, time)` is the mean flux over
    the area of a plant type, day by day and draw by draw. Time stands last, as CF recommends (section 2.4).
    """
    merged = Merged.of(job.totals(tile.id) for tile in tiles)
    common = dict(attributes) | {
        "Conventions": layout.CONVENTIONS, "spread": job.spread, "spread_meaning": SPREADS[job.spread], "sign": SIGN,
        "zone_names": json.dumps(job.region.zone_names), "plant_types": " ".join(PLANT_TYPES),
    } | ({} if job.at_towers is None else {"plant_types_at_towers": " ".join(job.at_towers)})  # fmt: skip
    for name, write in (("totals", _write_carbon), ("series", _write_series)):
        with whole_stream(job.out / f"{name}.nc") as file:
            write(file, job, merged, common)


def _bounds(calendar, group: str, dim: str) -> tuple:
    """First mapped day, and the day after the last one, of each period: bounds in the sense of CF."""
    first, end = bounds_of(calendar, group)
    return (dim, "bnds"), (layout.EPOCH + np.stack([first, end], 1).astype("timedelta64[D]")).astype("datetime64[ns]")


def _axis(values: np.ndarray, name: str, long_name: str) -> tuple:
    """A CF time coordinate with bounds."""
    attributes = layout.TIME | {"long_name": long_name, "bounds": f"{name}_bnds"}
    return name, values.astype("datetime64[ns]"), attributes


def _labels(draws: int, flux: Sequence[str]) -> dict:
    """Coordinates of draws and fluxes."""
    return {
        "flux": ("flux", list(flux), {"long_name": "carbon flux: net ecosystem exchange, gross primary productivity, respiration"}),
        "draw": ("draw", np.arange(draws), {"long_name": "posterior draw", "standard_name": "realization", "units": "1"}),
    }


def _write_carbon(stream, job: Job, merged: Merged, attributes: Mapping) -> None:
    """The coordinates first, then carbon, group by group of cells."""
    import h5netcdf
    import xarray as xr

    first = layout.EPOCH + bounds_of(job.calendar, "monthly")[0].astype("timedelta64[D]")
    plant_type = {"long_name": "IGBP plant type, index into the attribute plant_types"}
    flags = {"flag_values": np.arange(len(PLANT_TYPES), dtype=merged.plant_type.dtype), "flag_meanings": " ".join(PLANT_TYPES)}
    xr.Dataset(
        {"month_bnds": _bounds(job.calendar, "monthly", "month")},
        coords=_labels(job.draws, FLUXES)
        | {
            "month": _axis(first, "month", "first mapped day of the month"),
            "zone": ("cell", merged.zone, {"long_name": "number of the zone, 0 for none; names in the attribute zone_names"}),
            "plant_type": ("cell", merged.plant_type, plant_type | flags),
            "area": ("cell", merged.area, {"units": "m2", "long_name": "true area of the mapped pixels", "standard_name": "cell_area"}),
            "days": ("month", mapped_days(job.calendar, "monthly"), {"units": "1", "long_name": "number of mapped days in the month"}),
        },
        attrs=attributes,
    ).to_netcdf(stream, engine="h5netcdf", encoding={"month": DAYS})
    paths = None
    if job.posterior.structure is not None:
        month_of_day = np.searchsorted(first, job.calendar.mapped, side="right") - 1
        paths = ErrorPaths.of(job.posterior.structure, job.draws, month_of_day, job.seed)
    with h5netcdf.File(stream, "a") as file:
        methods = {"units": "g", "cell_methods": "area: sum month: sum", "coordinates": "zone plant_type area days"}
        total = file.create_variable("total", ("flux", "cell", "draw", "month"), np.float64)
        total.attrs.update(methods | {"long_name": "carbon exchanged over the mapped days of the month, all of the cell"})
        if paths is not None:
            error = file.create_variable("structural", ("cell", "draw", "month"), np.float64)
            error.attrs.update(
                methods | {"long_name": "structural error of NEE, carbon of the cell and month", "comment": "not part of total"}
            )
        for cells, carbon in merged.groups((len(first), 2, job.draws)):
            gpp, reco = carbon[:, :, 0], carbon[:, :, 1]
            for number, values in enumerate((reco - gpp, gpp, reco)):  # as in FLUXES
                total[number, cells] = values.swapaxes(1, 2)
            if paths is not None:
                error[cells] = paths.monthly_error(carbon, merged.area[cells]).swapaxes(1, 2)


def _write_series(stream, job: Job, merged: Merged, attributes: Mapping) -> None:
    """Means over the area of each plant type."""
    import xarray as xr

    kinds = list(merged.series)
    area = np.array([merged.area[merged.plant_type == kind].sum() for kind in kinds])
    daily = np.array([merged.series[kind] for kind in kinds]).reshape(len(kinds), len(job.calendar.mapped), 2, job.draws)
    gpp, reco = daily[:, :, 0], daily[:, :, 1]
    mean = np.stack([reco - gpp, gpp, reco]) / area.reshape(1, -1, 1, 1)
    described = {
        "units": "g m-2 day-1", "comment": "grams of carbon", "long_name": "mean over the area of the plant type",
        "cell_methods": "area: mean time: mean", "coordinates": "area",
    }  # fmt: skip
    xr.Dataset(
        {
            "series": (("flux", "plant_type", "draw", "time"), mean.astype(np.float32).swapaxes(2, 3), described),
            "time_bnds": _bounds(job.calendar, "daily", "time"),
        },
        coords=_labels(job.draws, FLUXES)
        | {
            "plant_type": ("plant_type", [PLANT_TYPES[kind] for kind in kinds], {"long_name": "IGBP plant type"}),
            "time": _axis(job.calendar.mapped, "time", f"day, {job.region.time_zone}"),
            "area": ("plant_type", area, {"units": "m2", "long_name": "true area of the mapped pixels", "standard_name": "cell_area"}),
        },
        attrs=attributes,
    ).to_netcdf(stream, engine="h5netcdf", encoding={"time": DAYS})
