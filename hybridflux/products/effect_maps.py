"""Maps of the effect of a change: difference of the means of two runs, as Zarr and as GeoTIFF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hybridflux.files import whole
from hybridflux.region.drivers.map_periods import Period
from hybridflux.region.outputs.geotiff import whole_geotiff
from hybridflux.region.outputs.quantities import Quantity
from hybridflux.region.store import layout
from hybridflux.vocabulary import FLUXES

GROUPS = ("monthly", "annual")


def write_effect_maps(folder: Path, changes: Sequence[str]) -> None:
    """Write `effect.zarr` and `cog/<flux>_change_annual_<year>.tif` beside the two runs of a scenario.

    The difference of the means is the mean of the differences, draw by draw. Its spread is kept for zones, in `effect.csv`,
    not per pixel.

    Args:
        folder: holds the run folders `control` and `changed`.
        changes: changes of the drivers, for titles and names.
    """
    with whole(folder / "effect.zarr") as store:
        for group in GROUPS:
            _write_group(folder, store, group, changes)
        layout.consolidate(store)


def _write_group(folder: Path, store: Path, group: str, changes: Sequence[str]) -> None:
    """Maps of the months, or of the years with their GeoTIFFs."""
    import xarray as xr

    control, changed = (
        xr.open_zarr(folder / run / "fluxes.zarr", group=group, consolidated=False, chunks={}) for run in ("control", "changed")
    )
    effect = control.drop_vars([name for name in control.data_vars if "x" in control[name].dims])
    for flux in FLUXES:
        effect[f"{flux}_change"] = _difference(control[flux], changed[flux], changes)
    title = f"{control.attrs.get('title', 'Carbon fluxes')}: effect of {' '.join(changes)}, changed minus control"
    effect.attrs = {**control.attrs, "title": title, "changes": " ".join(changes)}
    effect.to_zarr(store, group=group, mode="w", consolidated=False)
    if group == "annual":
        _write_cogs(folder / "cog", effect)


def _difference(control, changed, changes: Sequence[str]):
    """Changed minus control of one flux, with its attributes."""
    effect = (changed - control).astype(np.float32)
    effect.encoding = {}
    name = control.attrs.get("long_name", control.name).partition(";")[0]
    effect.attrs = {
        "units": control.attrs["units"],
        "comment": control.attrs.get("comment", "grams of carbon"),
        "long_name": f"change of {name} under {' '.join(changes)}; changed minus control, mean over the draws",
        "cell_methods": control.attrs["cell_methods"],
        "grid_mapping": "spatial_ref",
    }
    return effect


def _write_cogs(folder: Path, effect) -> None:
    """One cloud-optimised GeoTIFF for each flux and year, read row of chunks by row of chunks."""
    import rasterio
    import rasterio.shutil
    from affine import Affine
    from rasterio.windows import Window

    folder.mkdir(exist_ok=True)
    height, width = effect.sizes["y"], effect.sizes["x"]
    x, y = effect["x"].values, effect["y"].values
    step = float(x[1] - x[0])
    profile = dict(
        driver="GTiff", dtype="float32", count=1, height=height, width=width, nodata=np.nan, tiled=True,
        blockxsize=256, blockysize=256, BIGTIFF="IF_SAFER", crs=effect["spatial_ref"].attrs["crs_wkt"],
        transform=Affine(step, 0, x[0] - step / 2, 0, -step, y[0] + step / 2),
    )  # fmt: skip
    rows, years = 512, _years(effect)
    for flux in FLUXES:
        array = effect[f"{flux}_change"]
        for number, year in enumerate(years):
            with whole_geotiff(folder / f"{flux}_change_annual_{year.calendar}.tif") as partial:
                scratch = partial.with_name("scratch.tif")
                with rasterio.open(scratch, "w", **profile) as file:
                    for top in range(0, height, rows):
                        part = array.isel(time=number, y=slice(top, top + rows)).values
                        file.write(part, 1, window=Window(0, top, width, len(part)))
                    units = Quantity.of(flux.lower()).units_of("annual", year.whole)
                    tags = {name: str(text) for name, text in effect.attrs.items() if name != "Conventions"} | array.attrs
                    tags |= {"units": units, "days": str(year.days)}
                    tags |= {"time_coverage_start": str(year.first), "time_coverage_end": str(year.last)}
                    tags["long_name"] += "" if year.whole else f"; only {year}"
                    file.update_tags(**{name: text for name, text in tags.items() if name != "grid_mapping"})
                    file.set_band_description(1, str(year))
                    file.set_band_unit(1, units)
                rasterio.shutil.copy(scratch, partial, driver="COG", compress="ZSTD", predictor=3, overview_resampling="average")


def _years(effect) -> list[Period]:
    """Calendar years of the maps, with their mapped days."""
    firsts = effect["time"].values.astype("datetime64[D]")
    lasts = firsts + effect["days"].values.astype("timedelta64[D]") - 1
    return [Period(first, last, first.astype("datetime64[Y]")) for first, last in zip(firsts, lasts, strict=True)]
