"""Maps of the effect of a change: difference of the means of two runs, as Zarr and as GeoTIFF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hybridflux.files import whole
from hybridflux.region.drivers.map_periods import MapPeriod
from hybridflux.region.outputs.cogs import write_cog
from hybridflux.region.outputs.quantities import Quantity
from hybridflux.region.store import layout
from hybridflux.region.store.grid import Grid
from hybridflux.vocabulary import FLUXES

GROUPS = ("monthly", "annual")
ROWS = 512  # read at once


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
    folder.mkdir(exist_ok=True)
    described = effect["spatial_ref"].attrs
    west, pixel, _, north, *_ = map(float, described["GeoTransform"].split())
    grid = Grid(described["crs_wkt"], west, north, pixel, (effect.sizes["y"], effect.sizes["x"]))
    attributes = {name: str(text) for name, text in effect.attrs.items() if name != "Conventions"}
    for flux in FLUXES:
        array = effect[f"{flux}_change"]
        tags = attributes | {name: text for name, text in array.attrs.items() if name != "grid_mapping"}
        for number, year in enumerate(_years(effect)):
            tags["units"] = Quantity.of(flux.lower()).units_of("annual", year.whole)
            write_cog(folder / f"{flux}_change_annual_{year.calendar}.tif", grid, [year], tags, _blocks(array[number : number + 1]))


def _blocks(array) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Rows, columns and values of an array, some rows at a time."""
    for top in range(0, array.sizes["y"], ROWS):
        yield slice(top, top + ROWS), slice(0, None), array[:, top : top + ROWS].values


def _years(effect) -> list[MapPeriod]:
    """Calendar years of the maps, with their mapped days."""
    firsts = effect["time"].values.astype("datetime64[D]")
    lasts = firsts + effect["days"].values.astype("timedelta64[D]") - 1
    return [MapPeriod(first, last, first.astype("datetime64[Y]")) for first, last in zip(firsts, lasts, strict=True)]
