"""Provenance of a file of hybridflux, as written into posteriors, runs, Zarr stores, netCDF files and GeoTIFFs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import unescape
from pathlib import Path

from hybridflux.files import read_json, read_text
from hybridflux.limits import Refused, shown
from hybridflux.ours import DESCRIBED_BY, PAGE
from hybridflux.records import read_record

RECORDS = ("run.json", "scenario.json", "zarr.json")
TIFF_ENDINGS = (".tif", ".tiff")


def read_origin(path: str | Path) -> dict:
    """The record in a file: provenance, specification, spread, sign; JSON-ready.

    Args:
        path: a run folder, a Zarr store or a group in it, a netCDF file, a GeoTIFF, a JSON file, a page, or a table with its description
            beside it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it carries no provenance, so it was not written by hybridflux, or was changed since by another program.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        record = {name: _parsed(value) for name, value in _attributes(path).items()}
    except (UnicodeDecodeError, json.JSONDecodeError, AttributeError, OSError) as error:
        raise ValueError(f"{path} is damaged ({shown(error)}); write it anew") from error
    if not any(name in record for name in ("provenance", "config_hash")):
        raise ValueError(f"{path} carries no provenance: hybridflux did not write it, or another program has changed it since")
    return record


def _attributes(path: Path) -> Mapping:
    if path.is_dir():
        for name in RECORDS:
            if (path / name).exists():
                record = read_record(path / name, "a record of hybridflux")
                return record.get("attributes", {}) if name == "zarr.json" else record
        raise ValueError(f"{path} is a folder without {', '.join(RECORDS)}: neither a run, a scenario nor a Zarr store of hybridflux")
    if path.suffix.lower() in TIFF_ENDINGS:
        from hybridflux.data.rasters import DRIVERS, open_raster

        try:
            with open_raster(path, DRIVERS["product"]) as raster:
                return raster.tags()
        except OSError as error:
            raise ValueError(f"{path} cannot be read as GeoTIFF; it is damaged, or something else") from error
    if path.suffix.lower() == ".csv":
        beside = path.with_name(path.name + DESCRIBED_BY)
        if not beside.exists():
            raise ValueError(f"{path} carries no provenance of its own, and its description {beside.name} is not beside it")
        return read_json(beside, "the description of a table of hybridflux")
    if path.suffix.lower() == ".json":
        record = read_json(path, "a record of hybridflux")
        if record.get("type") == "Feature":  # a STAC item
            return {name.removeprefix("hybridflux:"): value for name, value in record["properties"].items()}
        return record
    if path.suffix.lower() in (".html", ".htm"):
        made = next((line for line in read_text(path).splitlines() if line.startswith(PAGE)), "")
        return {"provenance": unescape(made[len(PAGE) : made.rindex('"')])} if made else {}
    if path.suffix.lower() == ".nc":
        from hybridflux.data.hdf5 import open_hdf5

        try:
            with open_hdf5(path) as file:
                return {name: value for name, value in file.attrs.items() if not name.startswith("_NC")}
        except Refused:
            raise
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise ValueError(f"{path} cannot be read as netCDF; it is damaged, or something else") from error
    raise ValueError(f"{path}: hybridflux writes run folders, .zarr, .nc, .tif, .csv, .html and .json; this is none of them")


def _parsed(value):
    """A value of an attribute: JSON where it is JSON, arrays as lists."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value.tolist() if hasattr(value, "tolist") else value
