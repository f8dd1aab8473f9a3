"""What is read straight from the files of an array is what zarr reads, and a damaged chunk is refused by its key."""

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec

from hybridflux.region.store import blocks, layout

CHUNKS = (6, 8, 8)
FORMS = {
    "ours": layout.codecs(), "blosc alone": BloscCodec(cname="lz4"), "checksum alone": Crc32cCodec(), "bytes alone": None,
    "of zarr itself": "auto", "gzip": GzipCodec(),
}  # fmt: skip
WINDOWS = {
    "a chunk": (slice(None), slice(0, 8), slice(8, 16)),
    "some days of a chunk": (slice(2, 5), slice(0, 8), slice(0, 8)),
    "across chunks": (slice(1, 6), slice(3, 12), slice(5, 20)),
    "a chunk that is not there": (slice(None), slice(8, 13), slice(0, 12)),
    "an edge": (slice(4, 99), slice(8, 16), slice(16, 24)),
    "the first axis alone": (slice(0, 2),),
    "all": (),
    "nothing": (slice(3, 3), slice(0, 8), slice(0, 8)),
}


def make(path, dtype="int16", **more) -> zarr.Array:
    """An array of 6 x 13 x 20 values, without its chunk in the second row of chunks and the first column."""
    array = zarr.create_array(path, shape=(6, 13, 20), chunks=CHUNKS, dtype=dtype, fill_value=7, **more)
    array[...] = np.random.default_rng(0).integers(0, 90, array.shape).astype(dtype)
    (path / array.metadata.encode_chunk_key((0, 1, 0))).unlink()
    return array


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_is_what_zarr_reads(tmp_path, form, window):
    array = make(tmp_path / "a", compressors=FORMS[form])
    found = blocks.read(array, WINDOWS[window])
    np.testing.assert_array_equal(found, array[WINDOWS[window] or ...])
    assert found.dtype == array.dtype and found.flags.writeable


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64", "bool"])
def test_any_type_of_numbers_is_read(tmp_path, dtype):
    array = make(tmp_path / "a", dtype, compressors=layout.codecs())
    np.testing.assert_array_equal(blocks.read(array), array[...])


def test_other_orders_of_bytes_and_shards_are_left_to_zarr(tmp_path):
    turned = make(tmp_path / "turned", serializer=BytesCodec(endian="big"), compressors=layout.codecs())
    np.testing.assert_array_equal(blocks.read(turned), turned[...])
    sharded = zarr.create_array(tmp_path / "sharded", shape=(6, 16), chunks=(3, 8), shards=(6, 16), dtype="int16", fill_value=0)
    sharded[...] = np.arange(96).reshape(6, 16)
    np.testing.assert_array_equal(blocks.read(sharded, (slice(1, 4),)), np.arange(16, 64).reshape(3, 16))


@pytest.mark.parametrize("form", ["ours", "blosc alone", "checksum alone", "bytes alone"])
def test_a_chunk_that_is_cut_short_or_of_another_array_is_refused_by_its_key(tmp_path, form):
    array = make(tmp_path / "a", compressors=FORMS[form])
    other = zarr.create_array(tmp_path / "b", shape=(2, 8, 8), chunks=(2, 8, 8), dtype="int16", fill_value=0, compressors=FORMS[form])
    other[...] = 1
    file = tmp_path / "a" / "c/0/0/1"
    whole = file.read_bytes()
    for bad in (whole[:-1], whole[: len(whole) // 2], whole[:3], b"", (tmp_path / "b" / "c/0/0/0").read_bytes()):
        file.write_bytes(bad)
        with pytest.raises(blocks.READ_ERRORS, match="c/0/0/1"):
            blocks.read_chunk(array, (0, 0, 1))
        np.testing.assert_array_equal(blocks.read_chunk(array, (0, 0, 0)), array[:, :8, :8])


def test_every_flipped_byte_of_a_sealed_chunk_is_seen(tmp_path):
    array = make(tmp_path / "a", compressors=layout.codecs())
    file = tmp_path / "a" / "c/0/0/1"
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="chunk c/0/0/1 does not agree with its checksum"):
            blocks.read_chunk(array, (0, 0, 1))


@pytest.mark.parametrize("form", ["ours", "gzip"])
def test_what_is_said_of_a_chunk_is_raised_before_it_is_decoded(tmp_path, form):
    array, asked = make(tmp_path / "a", compressors=FORMS[form]), []

    def fault(key: str, content: np.ndarray | None) -> str:
        asked.append((key, None if content is None else content.tobytes()))
        return "missing" if content is None else ""

    window = (slice(None), slice(0, 13), slice(0, 8))
    with pytest.raises(blocks.NotAsWritten, match=r"^missing \(chunk c/0/1/0\)$"):
        blocks.read(array, window, fault)
    assert asked == [("c/0/0/0", (tmp_path / "a" / "c/0/0/0").read_bytes()), ("c/0/1/0", None)]
