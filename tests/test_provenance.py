"""What is written into every output, and reading it back from each kind of file."""

import json
from datetime import date
from pathlib import Path

import h5netcdf
import numpy as np
import pytest
import rasterio
import zarr

from hybridflux.data.origin import read_origin
from hybridflux.provenance import canonical_json, config_hash, file_checksum, git_state, provenance

CONFIG = {"model": "static", "years": (2001, 2010), "start": date(2018, 1, 1), "draws": np.int64(50), "out": Path("runs/a")}
RECORD = provenance(CONFIG, seed=4)


def test_record_is_json_and_complete():
    again = json.loads(json.dumps(RECORD))
    assert again == RECORD
    assert again["seed"] == 4 and again["config"]["years"] == [2001, 2010]
    assert {"hybridflux", "git", "python", "platform", "packages", "time", "command", "config_hash"} <= set(again)
    assert all(again["packages"].values())


def test_hash_sees_every_value_but_no_order():
    assert config_hash(CONFIG) == config_hash(dict(reversed(CONFIG.items())))
    assert config_hash(CONFIG) == config_hash(json.loads(canonical_json(CONFIG)))
    for name in CONFIG:
        assert config_hash({**CONFIG, name: "other"}) != config_hash(CONFIG)
    assert config_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # sha256 of {}


def test_a_configuration_holds_plain_values_only():
    with pytest.raises(TypeError, match="cannot hold"):
        config_hash({"model": object()})


def test_checksum(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_checksum(tmp_path / "a") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2


def test_git_state_of_this_checkout():
    state = git_state()
    assert state is None or len(state["commit"]) == 40


def as_run(folder):
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"provenance": RECORD, "spread": "parameter"}))


def as_netcdf(path):
    with h5netcdf.File(path, "w") as file:
        file.attrs["provenance"] = json.dumps(RECORD)
        file.attrs["spread"] = "parameter"


def as_zarr(path):
    zarr.open_group(path, mode="w", zarr_format=3).attrs.update({"provenance": RECORD, "spread": "parameter"})


def as_raster(path):
    grid = {"driver": "GTiff", "width": 2, "height": 2, "count": 1, "dtype": "int16", "crs": "EPSG:32631"}
    with rasterio.open(path, "w", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), **grid) as raster:
        raster.write(np.zeros((1, 2, 2), np.int16))
        raster.update_tags(provenance=json.dumps(RECORD), spread="parameter")


FORMATS = {"run": as_run, "posterior.nc": as_netcdf, "region.zarr": as_zarr, "nee.tif": as_raster}


@pytest.mark.parametrize(("name", "write"), FORMATS.items(), ids=FORMATS)
def test_origin_is_read_back(tmp_path, name, write):
    write(tmp_path / name)
    found = read_origin(tmp_path / name)
    assert found["provenance"] == RECORD
    assert found["spread"] == "parameter"
    json.dumps(found)


def test_what_is_not_ours_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    for name in ("a.csv", "a.txt"):
        (tmp_path / name).write_text("x")
    for name, said in {
        "a.json": "no provenance",
        "a.csv": "a.csv-metadata.json is not beside it",
        "a.txt": "none of them",
        ".": "neither a run, a scenario nor a Zarr store",
    }.items():
        with pytest.raises(ValueError, match=said):
            read_origin(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_origin(tmp_path / "b.nc")
