"""Where a file of ours comes from: the provenance written into posteriors, runs, Zarr stores, netCDF files and GeoTIFFs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from hybridflux.limits import shown

RECORDS = ("run.json", "scenario.json", "zarr.json")
TIFF_ENDINGS = (".tif", ".tiff")


def read_origin(path: str | Path) -> dict:
    """What a file says about its making: provenance, specification, spread, sign; JSON-ready.

    Args:
        path: a run folder, a Zarr store or a group in it, a netCDF file, a GeoTIFF, or a JSON file.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it carries no provenance, so it was not written by hybridflux, or was changed since by another program.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        found = {name: _parsed(value) for name, value in _attributes(path).items()}
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError, OSError) as error:
        raise ValueError(f"{path} is damaged ({shown(error)}); write it anew") from error
    if not any(name in found for name in ("provenance", "config_hash")):
        raise ValueError(f"{path} carries no provenance: hybridflux did not write it, or another program has changed it since")
    return found


def _attributes(path: Path) -> Mapping:
    if path.is_dir():
        for name in RECORDS:
            if (path / name).exists():
                record = json.loads((path / name).read_text(encoding="utf-8"))
                return record.get("attributes", {}) if name == "zarr.json" else record
        raise ValueError(f"{path} is a folder without {', '.join(RECORDS)}: neither a run, a scenario nor a Zarr store of hybridflux")
    if path.suffix.lower() in TIFF_ENDINGS:
        from hybridflux.data.rasters import DRIVERS, open_raster

        with open_raster(path, DRIVERS["product"]) as raster:
            return raster.tags()
    if path.suffix.lower() == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    if path.suffix.lower() == ".nc":
        import h5netcdf

        from hybridflux.data.hdf5 import open_hdf5

        with open_hdf5(path) as stored, h5netcdf.File(stored, "r") as file:
            return dict(file.attrs)
    raise ValueError(f"{path}: hybridflux writes run folders, .zarr, .nc, .tif and .json; this is none of them")


def _parsed(value):
    """A value of an attribute: JSON where it is JSON, arrays as lists."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value.tolist() if hasattr(value, "tolist") else value
