"""Posteriors on disk: one netCDF file in the ArviZ schema, the model as JSON among its attributes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from hybridflux.limits import Refused, shown
from hybridflux.links import refuse_links
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES

FORMAT = "hybridflux-posterior 1"


class Contents(NamedTuple):
    """What a posterior file holds.

    Attributes:
        leaves: learned leaf -> draws `[draw, ...]`.
        chains: chains the draws come from, in order.
        stats: name -> `[draw]`.
        header: JSON types: `spec`, `places`, `years`, `info`.
    """

    leaves: dict[str, np.ndarray]
    chains: int
    stats: dict[str, np.ndarray]
    header: dict


def write(path: str | Path, contents: Contents, physical: Mapping[str, np.ndarray], observed: Mapping[str, xr.DataArray]) -> None:
    """Write a posterior file; the name appears only when the file is complete.

    Args:
        path: of the file, `.nc`.
        contents: what `read` gives back.
        physical: parameter -> draws in its own units, for ArviZ and for people.
        observed: the observations of the fit.
    """
    path = Path(path)
    chained = lambda values: np.asarray(values).reshape(contents.chains, -1, *np.shape(values)[1:])  # noqa: E731

    def variable(name, values):
        values = chained(values)
        extra = tuple("plant_type" if size == len(PLANT_TYPES) else f"{name}_dim_{axis}" for axis, size in enumerate(values.shape[2:]))
        row = PARAMETERS.get(name.partition(".")[0])
        return xr.Variable(("chain", "draw", *extra), values, {"units": row.units, "long_name": row.meaning} if row else {})

    posterior = xr.Dataset({name: variable(name, values) for name, values in {**contents.leaves, **physical}.items()})
    posterior = posterior.assign_coords(chain=np.arange(posterior.sizes["chain"]), draw=np.arange(posterior.sizes["draw"]))
    if "plant_type" in posterior.dims:
        posterior = posterior.assign_coords(plant_type=list(PLANT_TYPES))
    stats = xr.Dataset({name: (("chain", "draw"), chained(values)) for name, values in contents.stats.items()})
    groups = {"/": xr.Dataset(), "/posterior": posterior, "/sample_stats": stats, "/observed_data": xr.Dataset(dict(observed))}
    tree = xr.DataTree.from_dict({name: group for name, group in groups.items() if name in ("/", "/posterior") or group.data_vars})
    tree.attrs = {"hybridflux_format": FORMAT, "hybridflux": json.dumps(contents.header), "chains": contents.chains}
    provenance = contents.header["info"].get("provenance")
    if provenance:
        tree.attrs["provenance"] = json.dumps(provenance)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    tree.to_netcdf(partial, engine="h5netcdf")
    os.replace(partial, path)


def read(path: str | Path) -> Contents:
    """Read a posterior file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not one of ours, or of another format version.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no posterior at {path}; `hybridflux fit` writes one")
    import h5netcdf
    import h5py  # not through xarray, which would import dask.array to look at variables: half a second

    try:
        with h5py.File(path, "r") as stored:
            refuse_links(stored, str(path))
            return _contents(h5netcdf.File(stored, "r"), path)
    except _Foreign as error:
        raise ValueError(str(error)) from None
    except Refused:
        raise
    except Exception as error:  # libraries raise anything over damaged metadata
        raise ValueError(f"{path} cannot be read as netCDF ({shown(error)}); it may be truncated or damaged, fit again") from error


class _Foreign(Exception):
    """A file that is no posterior of this version."""


def _contents(file, path: Path) -> Contents:
    if file.attrs.get("hybridflux_format") != FORMAT:
        raise _Foreign(f"{path} is not a posterior of this version: format {file.attrs.get('hybridflux_format')!r}, wanted {FORMAT!r}")
    header, chains = json.loads(file.attrs["hybridflux"]), int(file.attrs["chains"])
    leaves = {name: values for name, values in _over_draws(file.groups["posterior"]).items() if name in header["learned"]}
    stats = _over_draws(file.groups["sample_stats"]) if "sample_stats" in file.groups else {}
    return Contents(leaves, chains, stats, header)


def _over_draws(group) -> dict[str, np.ndarray]:
    """Variables of a group `[draw, ...]`, chains one after the other; netCDF has no truth values, xarray writes int8 and says so."""
    found = {}
    for name, variable in group.variables.items():
        if variable.dimensions[:2] == ("chain", "draw"):
            values = np.asarray(variable[...])
            values = values.astype(bool) if variable.attrs.get("dtype") == "bool" else values
            found[name] = values.reshape(-1, *values.shape[2:])
    return found
