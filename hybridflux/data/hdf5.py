"""The one place where foreign HDF5 and netCDF files are opened: they may refer to nothing but themselves (`links.py`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from hybridflux.limits import Refused, shown
from hybridflux.links import refuse_links

if TYPE_CHECKING:
    import h5py
    import xarray as xr

_CLASSIC = b"CDF"  # first bytes of netCDF-3, which has no links; data stores delivered it until 2024


def open_hdf5(source: str | Path | BinaryIO, name: str = "") -> h5py.File:
    """An HDF5 file, open for reading.

    Args:
        source: path, or an open file.
        name: for messages; the path where none is given.

    Raises:
        OSError: no such file, damaged, or not HDF5.
        Refused: it refers to other files.
    """
    import h5py

    file = h5py.File(source, "r")
    try:
        refuse_links(file, name or str(source), None if isinstance(source, str | Path) else source)
    except BaseException as error:
        file.close()
        if isinstance(error, Exception) and not isinstance(error, Refused | OSError):
            raise OSError(f"{name or source} is damaged HDF5 ({shown(error)})") from error
        raise
    return file


def open_netcdf(source: str | Path | BinaryIO, name: str = "", *, classic: bool = False, **options) -> xr.Dataset:
    """A netCDF-4 file as a dataset, its values read when they are used.

    Args:
        source: path, or an open file.
        name: for messages; the path where none is given.
        classic: whether netCDF-3 is read too.
        options: options of `xarray.open_dataset`.

    Raises:
        OSError: no such file, damaged, or not netCDF.
        ValueError: metadata that cannot be decoded, such as times without units.
        Refused: it refers to other files.
    """
    import xarray as xr

    is_classic = classic and _start(source).startswith(_CLASSIC)
    if not is_classic:
        open_hdf5(source, name).close()
    try:
        return xr.open_dataset(source, engine="scipy" if is_classic else "h5netcdf", **options)
    except (OSError, ValueError):
        raise
    except Exception as error:  # libraries raise anything over damaged metadata: KeyError, IndexError, AssertionError, ...
        raise OSError(f"{name or source} is damaged, or not netCDF ({shown(error) or type(error).__name__})") from error


def _start(source: str | Path | BinaryIO) -> bytes:
    if isinstance(source, str | Path):
        with open(source, "rb") as file:
            return file.read(4)
    source.seek(0)
    start = source.read(4)
    source.seek(0)
    return start
