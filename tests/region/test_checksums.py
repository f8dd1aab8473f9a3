"""Bytes that change after they were written: flipped, exchanged, put in from elsewhere, gone."""

import hashlib
import json
import os
import shutil
import zlib

import numpy as np
import pytest
import xarray as xr
import zarr

from hybridflux.inference.posterior import Posterior
from hybridflux.products.totals import open_totals
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region
from hybridflux.region.drivers.read import read_tile
from hybridflux.region.map import map_region, resume_run
from hybridflux.region.run.executors import Serial
from hybridflux.region.spec import region_fingerprint
from hybridflux.region.store.checksums import PIECE, RECORD, accept, check_product, damaged_tiles, digest, digest_of, say

pytestmark = pytest.mark.long

START = "2018-12-01"


@pytest.mark.parametrize("size", [0, 3, 4, 5, PIECE - 1, PIECE + 4, PIECE + 5, 2 * PIECE + 3])
def test_a_digest_of_a_file_is_that_of_its_bytes(tmp_path, size):
    """`e3069283` is the check value of CRC-32C, of `123456789`, in the catalogue of parametrised CRC algorithms."""
    content, file = np.random.default_rng(size).integers(0, 256, size, np.uint8), tmp_path / "file"
    content.tofile(file)
    assert digest(file) == digest_of(content) and digest(file, "0" * 8) == digest_of(content, "0" * 8) == f"{zlib.crc32(content):08x}"
    assert digest_of(np.frombuffer(b"123456789last", np.uint8)) == "e3069283" + b"last".hex()
    for place in {0, size - 1, size - 5} & set(range(size)):
        other = content.copy()
        other[place] ^= 1
        assert digest_of(other) != digest(file)


@pytest.fixture
def path(region_path, tmp_path):
    return shutil.copytree(region_path, tmp_path / "r.zarr")


@pytest.fixture(scope="module")
def finished(region_path, make_posterior, tmp_path_factory):
    """A run of a month."""
    out = tmp_path_factory.mktemp("checksums") / "run"
    map_region(make_posterior(draws=2), region_path, out, draws=2, period=Period(START))
    return out


def flip(file, place=-9):
    """Turn one bit over; the time of the file stays, as on a disk that rots."""
    times, content = file.stat(), bytearray(file.read_bytes())
    content[place] ^= 4
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def exchange(one, other):
    """Two files change places; each keeps its time."""
    between = one.with_name("between")
    one.rename(between), other.rename(one), between.rename(other)


def use(path):
    """Open a region and read each of its tiles."""
    region = open_region(path)
    for tile in region.tiles():
        read_tile(region, tile, ("fapar", "tair", "soil_capacity"), region.window(region.days[0], region.days[-1]))


@pytest.mark.parametrize("name", ["fapar", "tair", "soil_capacity", "zone", "plant_type", "time"])
@pytest.mark.parametrize("young", [False, True], ids=["rot", "written again"])
def test_a_flipped_bit_in_a_region_is_refused_by_name(path, name, young):
    file = sorted(file for file in (path / name / "c").rglob("*") if file.is_file())[0]
    flip(file)
    if young:
        os.utime(file)
    with pytest.raises(ValueError, match=f"`{name}`.*(is not what was written there|checksum)"):
        use(path)


EARLIER = {"SHA-256": lambda content: hashlib.sha256(content).hexdigest()[:32], "CRC-32": lambda content: f"{zlib.crc32(content):08x}"}


@pytest.mark.parametrize("earlier", EARLIER.values(), ids=EARLIER)
def test_a_store_of_an_earlier_version_opens_and_its_rot_is_seen(path, earlier):
    """Until 26 November 2026 a record held the first 32 digits of the SHA-256 of each chunk, and none of the metadata; then its CRC-32."""
    for kept in path.glob(f"*/{RECORD}"):
        words = [line.split() for line in kept.read_text().splitlines() if line.strip()]
        lines = [
            f"\n{key} {size} {earlier((kept.parent / key).read_bytes())}\n"
            for key, size, _ in words if not key.endswith("zarr.json")
        ]  # fmt: skip
        kept.write_text("".join(lines))
    use(path)
    assert "nothing was written since" in say(path, zarr.open_group(path, mode="r"))
    flip(path / "fapar" / "c" / "0" / "0" / "0")
    with pytest.raises(ValueError, match="`fapar`.*(is not what was written there|checksum)"):
        use(path)


@pytest.mark.parametrize("name", ["fapar", "plant_type", "cell"])
def test_chunks_that_changed_places_are_refused_by_name(path, name):
    first = path / name / "c" / ("0/0/0" if name == "fapar" else "0/0")
    exchange(first, first.with_name("1"))
    with pytest.raises(ValueError, match=f"`{name}`.*holds the chunk c/(0/)?0/1"):
        use(path)


def test_a_chunk_of_the_same_size_from_elsewhere_is_noticed_before_a_run_goes_on(path, tmp_path, make_posterior):
    """Its size, its crc32c and, where it is copied with its times, its age are right."""
    posterior, file = make_posterior(draws=2), path / "fapar" / "c" / "0" / "0" / "0"
    array, seen, content = zarr.open_array(path / "fapar", mode="r+"), {}, b""
    for value in range(4000, 4200):
        array[700, 0, 5] = value
        other = file.read_bytes()
        content = seen.setdefault(len(other), other)
        if content != other:
            break
    assert len(other) == len(content) and other != content
    file.write_bytes(content)
    accept(path)
    before = region_fingerprint(open_region(path))
    map_region(posterior, path, tmp_path / "run", draws=2, period=Period(START), executor=Serial())
    file.write_bytes(other)
    refused = pytest.raises(ValueError, match="another specification.*\n.*content of the region store")
    with refused, pytest.warns(UserWarning, match="fapar c/0/0/0"):
        resume_run(tmp_path / "run")
    times = (path / "fapar" / RECORD).stat()
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ValueError, match=r"`fapar` of tile r000_c000 .* is not what was written there"):
        use(path)
    file.write_bytes(content)
    assert region_fingerprint(open_region(path)) == before


def test_what_is_changed_on_purpose_is_reported_and_can_be_accepted(path, tmp_path, make_posterior):
    zarr.open_array(path / "zone", mode="r+")[3, 3] = 2
    with pytest.warns(UserWarning, match="changed after it was written: zone c/0/0; where"):
        map_region(make_posterior(draws=2), path, tmp_path / "run", draws=2, period=Period(START))
    accept(path)
    assert say(path, zarr.open_group(path, mode="r")).startswith("every chunk and the metadata are recorded")


def test_a_store_saved_again_by_xarray_carries_no_record_and_opens(path, tmp_path):
    again = tmp_path / "again.zarr"
    xr.open_zarr(path, chunks=None).to_zarr(again, zarr_format=3, consolidated=False)
    use(again)
    assert say(again, zarr.open_group(again, mode="r")).startswith("carries no checksums of")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("gone", r"r000_c001 \(monthly/NEE missing"),
        ("flipped", r"r000_c001 \(monthly/NEE not what was written"),
        ("exchanged", r"r000_c000 \(monthly/NEE not what was written\), r000_c001 "),
        ("npz", r"totals/r000_c000.npz not what was written"),
        ("totals.npy", r"totals/r000_c000.totals.npy not what was written"),
    ],
)
def test_maps_of_a_run_that_changed_are_mapped_again(finished, tmp_path, what, said):
    out = shutil.copytree(finished, tmp_path / "run")
    chunk = out / "fluxes.zarr" / "monthly" / "NEE" / "c" / "0" / "0" / "1"
    if what == "gone":
        chunk.unlink()
    elif what == "flipped":
        flip(chunk)
    elif what == "exchanged":
        exchange(chunk, chunk.with_name("0"))
    else:
        exchange(out / "totals" / f"r000_c000.{what}", out / "totals" / f"r000_c001.{what}")
    with pytest.warns(UserWarning, match=f"mapped again, because what they wrote is damaged or gone: .*{said}"):
        resume_run(out)
    assert not damaged_tiles(out)
    for group in ("monthly", "annual"):
        for one, other in zip(*(sorted((folder / "fluxes.zarr" / group).rglob("c/*/*/*")) for folder in (finished, out)), strict=True):
            assert one.read_bytes() == other.read_bytes(), other


@pytest.mark.parametrize("name", ["totals.nc"])
def test_totals_that_changed_are_not_summed(finished, tmp_path, name):
    out = shutil.copytree(finished, tmp_path / "run")
    flip(out / name)
    with pytest.raises(ValueError, match="totals.nc is not the file that the run wrote.*hybridflux map --run .*` writes it again"):
        open_totals(out)
    record = json.loads((out / "run.json").read_text())
    del record["checksums"], record["checksum"]
    (out / "run.json").write_text(json.dumps(record))
    shutil.copy(finished / name, out / name)
    assert open_totals(out).draws == 2  # a run of an earlier version


def test_a_posterior_that_changed_is_refused(make_posterior, tmp_path):
    import h5py

    path, refused = tmp_path / "p.nc", 0
    make_posterior(draws=4).save(path)
    whole = path.read_bytes()
    with h5py.File(path, "r+") as file:
        names = [name for name in file["posterior"] if file["posterior"][name].shape[:2] == (1, 4)]
        one = next(name for name in names if file["posterior"][name].ndim == 3)
        values = file["posterior"][one][...]
        file["posterior"][one][...] = values[:, ::-1]
    with pytest.raises(ValueError, match="not as it was written.*delete its attribute `checksum`"):
        Posterior.load(path)
    with h5py.File(path, "r+") as file:
        del file.attrs["checksum"]
    assert Posterior.load(path).draws == 4  # changed on purpose, or of an earlier version
    random = np.random.default_rng(0)
    for place in random.integers(0, len(whole), 60):
        content = bytearray(whole)
        content[place] ^= 1 << int(random.integers(8))
        path.write_bytes(content)
        try:
            loaded = Posterior.load(path)
        except ValueError as error:
            refused += 1
            assert str(path) in str(error) and len(str(error)) < 500
        else:
            path.with_name("again.nc").unlink(missing_ok=True)
            assert loaded.draws == 4
    assert refused > 5


@pytest.mark.parametrize("name", ["fapar/zarr.json", "tair/zarr.json", "zarr.json"])
def test_an_attribute_that_rots_is_refused(path, name):
    """`0.0001` becomes `0.0000`, `degC` another unit: a bit that JSON still reads."""
    file = path / name
    text, times = file.read_text(), file.stat()
    file.write_text(text.replace("0.0001", "0.0005").replace("degC", "degF").replace("made up", "made uq").replace("UTC", "UTD"))
    assert file.read_text() != text
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    for look in (open_region, check_product):
        with pytest.raises(ValueError, match=f"`{name}` is not what was written there: attributes or types differ"):
            look(path)


@pytest.mark.parametrize(("array", "name"), [("zone", "zone/zarr.json"), ("tair", "tair/zarr.json"), ("", "zarr.json")])
def test_an_attribute_that_a_program_changed_is_named_until_it_is_accepted(path, make_posterior, tmp_path, array, name):
    node = zarr.open(path / array, mode="r+")
    node.attrs["note"] = "changed by hand"
    with pytest.warns(UserWarning, match=f"changed after it was written: {name}; where"):
        map_region(make_posterior(draws=2), path, tmp_path / "run", draws=2, period=Period(START))
    with pytest.warns(UserWarning, match=f"changed after it was written: {name}; where"):
        check_product(path)
    accept(path)
    check_product(path)
    assert say(path, zarr.open_group(path, mode="r")).startswith("every chunk and the metadata")


def test_maps_for_gis_and_the_item_of_a_run_are_named_where_they_changed(finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "run")
    cog = next((out / "cog").glob("NEE_monthly_*.tif"))
    check_product(out), check_product(cog)
    flip(cog, 2000)
    for product in (out, cog):
        with pytest.raises(ValueError, match=rf"cog/{cog.name} are not the files that were written: .*--run .* writes them again"):
            check_product(product)
    check_product(out / "item.json")
    item = json.loads((out / "item.json").read_text())
    (out / "item.json").write_text(json.dumps(item | {"id": "another"}))
    with pytest.raises(ValueError, match=rf"item.json, cog/{cog.name} are not"):
        check_product(out)
    resume_run(out)
    check_product(out)
