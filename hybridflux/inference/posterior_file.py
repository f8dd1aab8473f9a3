"""Posteriors on disk: one netCDF file in the ArviZ schema, the model as JSON among its attributes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import IOBase
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, cast

import numpy as np
import xarray as xr

from hybridflux.files import whole_stream
from hybridflux.inference.arviz_groups import draws_dataset
from hybridflux.links import refuse_links
from hybridflux.vocabulary import Parameter

FORMAT = "hybridflux-posterior 1"
KNOWN_GROUPS = ("posterior", "sample_stats", "observed_data")
"""Groups of the ArviZ schema."""
CHECKSUM = "checksum"
"""Attribute: SHA-256 of all that `read` gives back; files of earlier versions have none."""


class Contents(NamedTuple):
    """What a posterior file holds.

    Attributes:
        leaves: learned leaf -> draws `[draw, ...]`.
        chains: chains the draws come from, in order.
        stats: name -> `[draw]`.
        header: JSON types: `spec`, `places`, `years`, `info`.
        groups: further groups of arrays, by their names; empty in files of earlier versions.
    """

    leaves: dict[str, np.ndarray]
    chains: int
    stats: dict[str, np.ndarray]
    header: dict
    groups: dict[str, dict[str, np.ndarray]] = {}


def write(
    path: str | Path,
    contents: Contents,
    physical: Mapping[str, np.ndarray],
    observed: Mapping[str, xr.DataArray],
    rows: Mapping[str, Parameter] = MappingProxyType({}),
) -> None:
    """Write a posterior file; the name appears only when the file is complete.

    Args:
        path: of the file, `.nc`.
        contents: what `read` gives back.
        physical: parameter -> draws in its own units, for ArviZ and for people.
        observed: the observations of the fit.
        rows: of the parameters of `physical`.
    """
    path = Path(path)
    posterior = draws_dataset({**contents.leaves, **physical}, contents.chains, rows)
    stats = draws_dataset(contents.stats, contents.chains, {}).drop_vars(("chain", "draw"), errors="ignore")
    groups = {"/": xr.Dataset(), "/posterior": posterior, "/sample_stats": stats, "/observed_data": xr.Dataset(dict(observed))}
    groups |= {f"/{name}": _of_arrays(arrays) for name, arrays in contents.groups.items()}
    tree = xr.DataTree.from_dict({name: group for name, group in groups.items() if name in ("/", "/posterior") or group.data_vars})
    tree.attrs = {"hybridflux_format": FORMAT, "hybridflux": json.dumps(contents.header), "chains": contents.chains}
    tree.attrs[CHECKSUM] = _checksum(contents, tree.attrs["hybridflux"])
    provenance = contents.header["info"].get("provenance")
    if provenance:
        tree.attrs["provenance"] = json.dumps(provenance)
    with whole_stream(path) as file:
        tree.to_netcdf(cast(IOBase, file), engine="h5netcdf", encoding=_sealed(tree))


def read(path: str | Path) -> Contents:
    """Read a posterior file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not one of ours, of another format version, or damaged.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no posterior at {path}; `hybridflux fit` writes one")
    import h5netcdf  # not through xarray, which would import dask.array to look at variables: half a second
    import h5py

    try:
        raw = h5py.File(path, "r")
    except OSError as error:
        what = "is a folder" if path.is_dir() else "cannot be read as netCDF: it is truncated, or something else"
        raise ValueError(f"{path} {what}; name a posterior that `hybridflux fit` wrote, or fit again") from error
    with _readable(path), raw:
        refuse_links(raw, str(path))
        raw.visititems(lambda _, found: dict(found.attrs))  # h5netcdf leaves a file open whose description it cannot read
        form = dict(raw.attrs).get("hybridflux_format")
    if form is None:
        raise ValueError(f"{path} is a netCDF file, but not a posterior; name one that `hybridflux fit` wrote")
    if form != FORMAT:
        raise ValueError(f"{path} is a posterior of another version of hybridflux ({form}, this one reads {FORMAT}); fit again")
    with _readable(path), h5netcdf.File(path, "r") as file:
        header, chains = json.loads(file.attrs["hybridflux"]), int(file.attrs["chains"])
        leaves = {name: values for name, values in _over_draws(file.groups["posterior"]).items() if name in header["learned"]}
        stats = _over_draws(file.groups["sample_stats"]) if "sample_stats" in file.groups else {}
        further = {group: file.groups[group].variables for group in file.groups if group not in KNOWN_GROUPS}
        groups = {group: {name: np.asarray(values[...]) for name, values in arrays.items()} for group, arrays in further.items()}
        contents = Contents(leaves, chains, stats, header, groups)
        if file.attrs.get(CHECKSUM, (now := _checksum(contents, file.attrs["hybridflux"]))) != now:
            raise ValueError(
                f"{path} is not as it was written: its draws or its description do not match its checksum; restore it from a copy or fit "
                f"again. Where you changed it on purpose, delete its attribute `{CHECKSUM}`"
            )
    return contents


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say of a file whose parts cannot be read that it is damaged."""
    try:
        yield
    except (OSError, KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged ({str(error)[:120]}); restore it from a copy or fit again") from error


def _checksum(contents: Contents, header: str) -> str:
    """Digest of draws and description, whatever the order of variables in the file."""
    found = hashlib.sha256(f"{contents.chains} {header}".encode())
    for group in (contents.leaves, contents.stats, *(arrays for _, arrays in sorted(contents.groups.items()))):
        for name, values in sorted(group.items()):
            values = np.ascontiguousarray(values)
            found.update(f"{name} {values.dtype.str} {values.shape}".encode() + values.tobytes())
    return f"sha256:{found.hexdigest()}"


def _of_arrays(arrays: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Arrays of a group, each with axes of its own."""
    return xr.Dataset({name: ([f"{name}_{axis}" for axis in range(values.ndim)], values) for name, values in arrays.items()})


def _sealed(tree: xr.DataTree) -> dict:
    """Fletcher32 for every array of numbers, so that HDF5 itself refuses to read a damaged one."""
    return {
        node.path: {
            name: {"fletcher32": True, "chunksizes": variable.shape}
            for name, variable in node.to_dataset(inherit=False).variables.items()
            if variable.ndim and variable.size and variable.dtype.kind in "fiu"
        }
        for node in tree.subtree
    }


def _over_draws(group) -> dict[str, np.ndarray]:
    """Variables of a group `[draw, ...]`, chains one after the other; netCDF has no truth values, xarray writes int8 and says so."""
    found = {}
    for name, variable in group.variables.items():
        if variable.dimensions[:2] == ("chain", "draw"):
            values = np.asarray(variable[...])
            values = values.astype(bool) if variable.attrs.get("dtype") == "bool" else values
            found[name] = values.reshape(-1, *values.shape[2:])
    return found
