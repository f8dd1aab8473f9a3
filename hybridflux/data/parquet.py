"""The one place where foreign Parquet is read: piece by piece, because a dictionary of a few kilobytes can unpack to terabytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridflux.limits import TABLE, shown

if TYPE_CHECKING:
    import pyarrow

_NUMBER = 8  # bytes that a cell takes at least once it is a number in a table
_ROWS = 1 << 17  # of a piece


def read_parquet(path: str | Path) -> pyarrow.Table:
    """A table in Parquet.

    What pandas notes of its index in the metadata is left to `to_pandas(ignore_metadata=True)`: every column that is stored is a column.

    Raises:
        ModuleNotFoundError: pyarrow is not installed; names the extra that brings it.
        FileNotFoundError: no such file.
        ValueError: damaged, or not Parquet.
        Refused: rows x columns, or what they unpack to, are beyond `HYBRIDFLUX_LIMIT_TABLE`.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{path}: Parquet files need pyarrow: pip install 'hybridflux[ingest]'") from error
    try:
        with ParquetFile(path) as file:
            about, unpacked = file.metadata, 0
            pieces: list[Any] = []
            TABLE.check(about.num_rows * about.num_columns * _NUMBER, f"{path}, {about.num_rows} rows of {about.num_columns} columns,")
            for group in range(about.num_row_groups):
                largest = max(about.row_group(group).total_byte_size, 1)  # one value can be as large, and stand in every row
                for piece in file.iter_batches(max(1, min(_ROWS, TABLE.value // largest)), row_groups=[group]):
                    unpacked += piece.nbytes
                    TABLE.check(unpacked, f"{path}, its first {sum(map(len, pieces)) + len(piece)} rows,")
                    pieces.append(piece)
            return pyarrow.Table.from_batches(pieces, file.schema_arrow)
    except FileNotFoundError:
        raise
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is damaged or not Parquet ({shown(error)}); download it again") from error
