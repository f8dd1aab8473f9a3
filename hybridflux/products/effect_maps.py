"""Maps of what a change does: difference of the means of two runs, as Zarr and as GeoTIFF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

GROUPS = ("monthly", "annual")
FLUXES = ("NEE", "GPP", "RECO")


def write_effect_maps(folder: Path, changes: Sequence[str]) -> None:
    """Write `effect.zarr` (groups as in the runs, `<flux>_change`) and `cog/<flux>_change_<year>.tif` beside two runs.

    The difference of the means is the mean of the differences, draw by draw. Its spread per pixel is not kept: totals of
    zones have paired intervals in `effect.csv`.
    """
    import xarray as xr

    for group in GROUPS:
        if not (folder / "control" / "fluxes.zarr" / group).is_dir():
            continue
        control, changed = (
            xr.open_zarr(folder / run / "fluxes.zarr", group=group, consolidated=False, chunks={}) for run in ("control", "changed")
        )
        effect = xr.Dataset({f"{flux}_change": _difference(control[flux], changed[flux], changes) for flux in FLUXES})
        if "spatial_ref" in control:
            effect["spatial_ref"] = control["spatial_ref"]
        effect.attrs = {**control.attrs, "title": f"Effect of {' '.join(changes)}: changed minus control", "changes": list(changes)}
        effect.to_zarr(folder / "effect.zarr", group=group, mode="w", consolidated=False)


def _difference(control, changed, changes):
    """Changed minus control of one flux, with what it means."""
    name = control.name
    effect = (changed - control).astype("float32")
    effect.encoding = {}
    effect.attrs = {
        "units": control.attrs.get("units", ""),
        "long_name": f"change of {name} under {' '.join(changes)}, changed minus control, mean of the draws",
        "grid_mapping": "spatial_ref",
    }
    return effect
