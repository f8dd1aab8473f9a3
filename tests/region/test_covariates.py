"""A map of the user's own in a region: read by the model, masked where it has no value, asked for where it is missing."""

import jax
import numpy as np
import pytest
import xarray as xr
from odc.geo.xr import xr_coords

from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.model.covariates import scaled
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned
from hybridflux.model.power_of import PowerOf
from hybridflux.model.sources import Given, Neural, Pooled, Shared
from hybridflux.process import light, respiration, stress, water
from hybridflux.region.draws.spread import Draws
from hybridflux.region.drivers.calendar import Period
from hybridflux.region.drivers.open import open_region, unpacked
from hybridflux.region.drivers.read import read_tile
from hybridflux.region.map import map_region
from hybridflux.region.store.add_map import add_map
from hybridflux.vocabulary import PARAMETERS

SMALL = dict(size=(12, 10), tile=10, days=("2017-01-01", "2018-01-31"), cells=1)


@pytest.fixture(scope="module")
def posterior():
    model = HybridFlux(gpp=(light.absorbed,), reco=(respiration.basal,), sources={"light_use_efficiency": Neural("canopy_height")})
    model = scaled(model, {"canopy_height": np.array([5.0, 30.0])})
    leaves = {name: np.stack([leaf + 0.3, leaf - 0.3]) for name, leaf in learned(model).items()}
    drawn = with_learned(model, jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), leaves))
    return Posterior(drawn, Indices(("a",), (2017,)), info={"method": "made up", "ranges": {"canopy_height": [5.0, 30.0]}})


def test_a_map_is_read_counted_and_masked_where_it_has_gaps(tmp_path, make_region, posterior):
    """GPP of every pixel is its light times the efficiency of its own height."""
    height = np.linspace(2, 40, 120).reshape(12, 10).astype(np.float32)
    height[5, 5] = np.nan
    writer = make_region(tmp_path / "r.zarr", covariates={"canopy_height": height}, **SMALL)
    report = map_region(posterior, writer.path, tmp_path / "run", draws=Draws(2, "parameter"), period=Period("2018-01-01", "2018-01-31"))
    assert report.masked["no covariate"] == 1
    found = xr.open_zarr(tmp_path / "run" / "fluxes.zarr", group="monthly", consolidated=False)["GPP"].load().squeeze().to_numpy()
    region = open_region(writer.path)
    window = region.window(np.datetime64("2018-01-01"), np.datetime64("2018-01-31"))
    tile = next(region.tiles())
    drivers = read_tile(region, tile, ("fapar", "par", "canopy_height"), window)
    row = PARAMETERS["light_use_efficiency"]
    for at in (0, 40, len(drivers.pixel) - 1):
        pixel = drivers.pixel[at]
        light_absorbed = float((unpacked(drivers.daily["fapar"])[:, pixel] * drivers.weather["par"][:, 0]).mean())
        sources = [over_draw(posterior.model.sources["light_use_efficiency"], draw) for draw in (0, 1)]
        efficiency = np.mean([float(one.value(row, {"canopy_height": drivers.static["canopy_height"][at]})) for one in sources])
        y, x = divmod(int(pixel), tile.shape[1])
        assert found[tile.y.start + y, tile.x.start + x] == pytest.approx(light_absorbed * efficiency, abs=2e-3)


def test_a_capacity_by_a_power_of_its_map_is_the_map_of_that_power(tmp_path, make_region):
    """Pixels by 150 mm (map / 150)^0.6 and tower effects beside it: the budget of a region whose map holds these capacities itself."""
    soil = np.linspace(45, 400, 120).reshape(12, 10).astype(np.float32)
    capacity = (150 * (soil / 150) ** 0.6).astype(np.float32)
    found = []
    power, given = Pooled(PowerOf("soil_capacity")), Given("soil_capacity")
    for name, values, source in (("power", soil, power), ("given", capacity, given), ("another", soil, given)):
        writer = make_region(tmp_path / f"{name}.zarr", soil_capacity=values, **SMALL)
        parts = {"root_zone_capacity": source, "rew_critical": Shared()}
        model = HybridFlux(gpp=(light.absorbed, stress.water_ramp), reco=(respiration.basal,), memory=(water.BUCKET,), sources=parts)
        leaves = {leaf: np.zeros((1, *value.shape), np.float32) for leaf, value in learned(model).items()}
        leaves |= {leaf: np.full((1,), -0.8, np.float32) for leaf in leaves if leaf.endswith("z.power")}
        posterior = Posterior(with_learned(model, leaves), Indices(("a",), (2017,)), info={"method": "made up"})
        map_region(posterior, writer.path, tmp_path / name, draws=Draws(1, "parameter"), period=Period("2017-02-01", "2017-12-31"))
        found.append(xr.open_zarr(tmp_path / name / "fluxes.zarr", group="monthly", consolidated=False)["GPP"].load().to_numpy())
    assert np.nanmax(np.abs(found[2] - found[1])) > 0.1, "capacity must matter"
    np.testing.assert_allclose(found[0], found[1], atol=2e-3)


def over_draw(source, draw):
    return with_learned(source, {name: leaf[draw] for name, leaf in learned(source).items()})


def test_a_region_without_the_map_is_refused_with_a_cure_that_cures(tmp_path, make_region, posterior):
    writer = make_region(tmp_path / "r.zarr", **SMALL)
    with pytest.raises(ValueError, match=r"needs canopy_height, which .*; add a map `canopy_height` .hf.add_map. to the region"):
        map_region(posterior, writer.path, tmp_path / "run", draws=2)
    box = writer.grid.geobox
    raster = xr.DataArray(np.full(box.shape, 17.0, np.float32), dims=("y", "x"), coords=xr_coords(box))
    raster[:, 5:] = np.nan
    raster.odc.write_cog(str(tmp_path / "height.tif"), overwrite=True, nodata=np.nan)
    add_map(writer.path, "canopy_height", tmp_path / "height.tif", units="m")
    region = open_region(writer.path)
    drivers = read_tile(region, next(region.tiles()), ("canopy_height", *posterior.model.needs()), slice(365, 396))
    assert np.unique(drivers.static["canopy_height"]).tolist() == [17.0] and drivers.masked["no covariate"] == 50
    for name, source, message in (
        ("canopy_height", np.ones(box.shape), "has a map `canopy_height` already"),
        ("tair", np.ones(box.shape), "`tair` cannot be the name of a covariate"),
        ("age", np.ones((3, 3)), r"`age` has shape .3, 3.; \[y, x\]"),
        ("age", np.full(box.shape, np.nan), "`age` has no value on"),
    ):
        with pytest.raises(ValueError, match=message):
            add_map(writer.path, name, source)


def test_a_tile_without_values_is_no_lost_chunk_and_a_lost_one_is_told_apart(tmp_path, make_region):
    writer = make_region(tmp_path / "r.zarr", **SMALL)
    height = np.full(writer.grid.shape, 17.0)
    height[10:] = np.nan
    add_map(writer.path, "canopy_height", height, units="m")
    open_region(writer.path)
    (writer.path / "canopy_height" / "c" / "0" / "0").unlink()
    with pytest.raises(ValueError, match=r"`canopy_height` .* r000_c000 \(missing\)"):
        open_region(writer.path)
