"""Maps of draws of two kinds: each kind alone gives the fluxes of its own model, and a scenario is of process members alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from hybridflux.inference.posterior import Posterior
from hybridflux.model.learned import with_learned
from hybridflux.products.scenario import run_scenario
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region
from hybridflux.region.map import map_region
from hybridflux.region.outputs import PeriodMaps, ZoneTotals

pytestmark = pytest.mark.long

DRAWS, SETTINGS = 6, {"draws": Draws(6, "parameter"), "period": Period("2018-06-01", "2018-06-30")}


@pytest.fixture(scope="module")
def region(tmp_path_factory, make_region):
    return make_region(tmp_path_factory.mktemp("stacked") / "r.zarr", days=("2018-03-01", "2018-06-30"), size=(12, 6), tile=12).path


@pytest.fixture(scope="module")
def stacked(make_posterior):
    posterior = make_posterior(draws=DRAWS, stacked=True)
    kinds = {"sources.member_kind.z": np.linspace(-1.5, 1.5, DRAWS, dtype=np.float32)}
    return replace(posterior, model=with_learned(posterior.model, kinds))


def totals(run):
    """NEE `[cell, draw]`, and the index of the plant type of each cell."""
    with xr.open_dataset(run / "totals.nc") as file:
        return file["total"].sel(flux="NEE").sum("month").transpose("cell", "draw").values, file["plant_type"].values.tolist()


def test_every_draw_is_one_kind_in_a_plant_type(tmp_path, region, stacked):
    """A map of both, after saving and loading, has in each plant type draws of either kind alone; the map of the kind is their share."""
    stacked.save(tmp_path / "p.nc")
    again = Posterior.load(tmp_path / "p.nc")
    keep = (ZoneTotals(), PeriodMaps("member_kind", ()))
    map_region(again, region, tmp_path / "both", keep=keep, **SETTINGS)
    for kind in ("process", "network"):
        map_region(stacked.of_kind(kind), region, tmp_path / kind, keep=(ZoneTotals(),), **SETTINGS)
    (both, types), (process, _), (network, _) = (totals(tmp_path / kind) for kind in ("both", "process", "network"))
    assert not np.isclose(process, network, rtol=1e-4).any()
    chosen = np.asarray(stacked.model.sources["member_kind"].share)[types]
    quantile = np.array([0.0668, 0.1841, 0.3821, 0.6179, 0.8159, 0.9332])  # normal probabilities of z from -1.5 to 1.5
    of_network = quantile[None, :] < chosen[:, None]
    assert 0 < of_network.mean() < 1 and len({row.tobytes() for row in of_network}) > 1
    np.testing.assert_allclose(both, np.where(of_network, network, process), rtol=1e-5)
    with xr.open_zarr(tmp_path / "both" / "fluxes.zarr", group="monthly", consolidated=False) as maps:
        share = maps["member_kind"].values
    assert {round(float(value), 3) for value in np.unique(share[np.isfinite(share)])} == {round(row.mean(), 3) for row in of_network}


def test_a_scenario_is_of_process_members_alone(tmp_path, region, stacked):
    change, settings = {"rain": "*0.5"}, SETTINGS | {"keep": (ZoneTotals(), PeriodMaps(quantiles=()))}
    run_scenario(stacked, region, change, tmp_path / "two", **settings)
    run_scenario(stacked.of_kind("process"), region, change, tmp_path / "one", **settings)
    for half in ("control", "changed"):
        np.testing.assert_array_equal(totals(tmp_path / "two" / half)[0], totals(tmp_path / "one" / half)[0])
    assert json.loads((tmp_path / "two" / "scenario.json").read_text())["members"] == "process"
    with pytest.raises(ValueError, match="process members alone"):
        map_region(stacked, open_region(region).with_changes(change), tmp_path / "run", **SETTINGS)

    def changed_map(posterior, region, change, out, **how):
        map_region(posterior, open_region(region).with_changes(change), out, **how)

    for ask in (run_scenario, changed_map):
        with pytest.raises(ValueError, match="which know no causes"):
            ask(stacked.of_kind("network"), region, change, tmp_path / "none", **settings)
        assert not (tmp_path / "none").exists()
