"""Requests to the data store, and downloads of which nothing half is kept."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from hybridflux.data.weather import reader
from hybridflux.data.weather.climate_data_store import describe, download, requests_of

EXTENT = (1.23, 43.61, 1.37, 43.72)


def test_hourly_requests_begin_with_the_hours_the_offset_moves(catalog):
    requests = requests_of(catalog["era5-land"], EXTENT, np.datetime64("2018-01-01"), np.datetime64("2018-02-28"), 1.0)
    assert [one.target for one in requests] == ["era5-land_2017-12.nc", "era5-land_2018-01.nc", "era5-land_2018-02.nc"]
    assert requests[0].body["day"] == ["31"] and len(requests[1].body["day"]) == 31 and len(requests[2].body["day"]) == 28
    body = requests[1].body
    assert requests[1].store == "reanalysis-era5-land" and body["year"] == "2018" and body["month"] == "01" and len(body["time"]) == 24
    assert body["area"] == [43.9, 1.1, 43.5, 1.5], "north, west, south, east, grown by a cell"
    assert body["data_format"] == "netcdf" and body["download_format"] == "unarchived"
    sums = {"surface_solar_radiation_downwards", "total_precipitation"}
    assert set(body["variable"]) == {"2m_temperature", "2m_dewpoint_temperature"} | sums
    assert requests[1].size == pytest.approx(25 * 744 * 4 * 2.1, rel=0.01)
    west = requests_of(catalog["era5"], EXTENT, np.datetime64("2018-01-01"), np.datetime64("2018-01-31"), -5.0)
    assert [one.target for one in west] == ["era5_2018-01.nc", "era5_2018-02.nc"] and west[0].body["product_type"] == ["reanalysis"]


def test_daily_requests(catalog):
    requests = requests_of(catalog["agera5"], EXTENT, np.datetime64("2018-01-15"), np.datetime64("2018-01-31"), 1.0)
    kinds = {one.body["variable"][0]: one.body.get("statistic") for one in requests}
    assert kinds["2m_temperature"] == ["24_hour_mean", "24_hour_minimum", "24_hour_maximum"] and kinds["precipitation_flux"] is None
    assert all(one.body["day"][0] == "15" and one.store == "sis-agrometeorological-indicators" for one in requests)
    assert "agera5_vapour_pressure_2018-01.nc" in describe(requests) and "17 days" in describe(requests)
    with pytest.raises(ValueError, match="sim2 is not downloaded from the Climate Data Store"):
        requests_of(catalog["sim2"], EXTENT, np.datetime64("2018-01-01"), np.datetime64("2018-01-31"), 1.0)


class Client:
    """A data store that answers as told: bytes, or an exception to raise."""

    def __init__(self, answers):
        self.answers, self.asked = list(answers), []

    def retrieve(self, store, body, target):
        self.asked.append((store, body))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        with open(target, "wb") as file:
            file.write(answer)


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "whole"
    xr.Dataset({"t2m": ("valid_time", np.zeros(2000))}).to_netcdf(path, engine="h5netcdf")
    return path.read_bytes()


@pytest.fixture
def serve(monkeypatch):
    def call(*answers):
        client = Client(answers)
        monkeypatch.setitem(sys.modules, "cdsapi", SimpleNamespace(Client=lambda: client))
        return client

    return call


@pytest.fixture
def one(catalog):
    return requests_of(catalog["era5"], EXTENT, np.datetime64("2018-05-02"), np.datetime64("2018-05-03"), 1.0)


def test_tries_again_and_keeps_only_what_is_whole(one, serve, whole, tmp_path):
    client = serve(RuntimeError("500 Internal Server Error"), whole[: len(whole) // 2], b"<html>busy</html>", whole)
    with pytest.warns(UserWarning, match="once more") as said:
        (path,) = download(one, tmp_path / "era5", pause=0)
    assert len(said) == 3 and len(client.asked) == 4 and "500 Internal" in str(said[0].message) and "cut short" in str(said[1].message)
    assert path.read_bytes() == whole and [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_store_that_never_answers_leaves_nothing(one, serve, whole, tmp_path):
    serve(*[TimeoutError("stalled")] * 4)
    with pytest.warns(UserWarning, match="stalled"), pytest.raises(OSError, match=r"era5_2018-05.nc: 4 tries failed, .* stalled"):
        download(one, tmp_path / "era5", pause=0)
    assert list((tmp_path / "era5").iterdir()) == []


def test_what_is_there_is_not_asked_again_and_a_part_is_not_there(one, serve, whole, tmp_path):
    client = serve(whole)
    (tmp_path / "era5_2018-05.nc.part").write_bytes(whole[:100])
    download(one, tmp_path, pause=0)
    assert len(client.asked) == 1
    download(one, tmp_path, pause=0)
    assert len(client.asked) == 1


def test_cdsapi_is_optional(one, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cdsapi", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'hybridflux\[download\]'"):
        download(one, tmp_path)


def test_what_was_requested_gives_the_days_asked_for(catalog, store):
    """The hours of the requests are exactly those the reader needs: no day with fewer than 24."""
    requests = requests_of(catalog["era5-land"], (1.05, 44.0, 1.15, 44.1), np.datetime64("2018-05-02"), np.datetime64("2018-05-30"), 1.0)
    first, last = requests[0].body["day"][0], requests[-1].body["day"][-1]
    store.month(start=f"2018-05-{first}", end=f"2018-05-{last}")
    weather = reader("era5")(catalog["era5-land"], store.folder, (1.05, 44.0, 1.15, 44.1), "2018-05-02", "2018-05-30", 1.0)
    assert weather.origin["days_with_fewer_hours"] == {}
