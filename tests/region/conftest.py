"""A small made-up region, and posteriors without a fit."""

from dataclasses import fields

import jax
import numpy as np
import pytest

from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.model.sources import Given, Neural, PerClass, Pooled, Shared
from hybridflux.model.stacked import Stacked
from hybridflux.process import direct, light, respiration, stress, water
from hybridflux.region.store.create import RegionMaps, RegionWeather, create_region
from hybridflux.region.store.grid import Grid
from hybridflux.vocabulary import PLANT_TYPES

CODES = [PLANT_TYPES.index(code) for code in ("CRO", "DBF", "GRA", "ENF")]


def made_up(path, *, size=(24, 20), tile=10, days=("2017-01-01", "2018-12-31"), cells=2, seed=0, crs="EPSG:2154", utc_offset=1, **more):
    """A region with patches of four plant types, some water, some outside, weather of `cells` cells."""
    random = np.random.default_rng(seed)
    days = np.arange(np.datetime64(days[0]), np.datetime64(days[1]) + np.timedelta64(1, "D"))
    time = np.arange(len(days))
    season = -np.cos(2 * np.pi * (time % 365.25) / 365.25)
    noise = random.normal(size=(len(days), cells))
    tair = 10 + 9 * season[:, None] + 3 * noise
    par = np.clip(6 + 4.5 * season[:, None] + 1.5 * random.normal(size=noise.shape), 0.3, 14)
    weather = {
        "tair": tair, "tmin": tair - 5, "tair_night": tair - 3, "par": par, "vpd": np.clip(5 + 4 * season[:, None] + noise, 0.1, 60),
        "rain": random.gamma(0.3, 7.0, noise.shape), "par_potential": par * 1.3 + 1,
        "day_fraction": 0.5 + 0.16 * season[:, None] + 0 * noise, "co2": 405 + 0 * noise,
    }  # fmt: skip
    grid = Grid(crs, 638_000.0, 6_851_000.0, 10.0, size, tile)
    plant_type = (
        np.array(CODES)[random.integers(0, 4, (-(-size[0] // 6), -(-size[1] // 6)))].repeat(6, 0).repeat(6, 1)[: size[0], : size[1]]
    )
    plant_type[:2, :3] = PLANT_TYPES.index("WAT")
    plant_type[-2:, -4:] = 255
    rows, columns = np.indices(size)
    fapar = np.clip(0.5 + 0.3 * season[:, None, None] + 0.1 * np.sin(rows / 3) * np.cos(columns / 4), 0.05, 0.95)
    maps = dict(
        plant_type=plant_type, soil_capacity=100 + 50 * np.sin(rows / 5.0),
        cell=((columns >= size[1] // 2) if cells > 1 else 0 * columns).astype(np.int32),
        zone=1 + (rows >= size[0] // 2), zone_names={1: "north", 2: "south"},
    )  # fmt: skip
    maps |= {name: more.pop(name) for name in [*more] if name in {field.name for field in fields(RegionMaps)}}
    values = {name: values.astype(np.float32) for name, values in weather.items()}
    writer = create_region(path, grid, RegionMaps(**maps), RegionWeather(days, values, utc_offset=utc_offset), **more)
    writer.write_all(fapar)
    return writer


SHARE = np.linspace(0.2, 0.9, len(PLANT_TYPES))
"""Of networks in a stacked model, another one for each plant type."""


def a_network():
    """Members of another kind: fluxes without physics, with effects of places on one of them."""
    networks = {"network_gpp": Pooled(Neural("plant_type", "tair_30d", "fapar", "fapar_30d", width=4, reach=2.0))}
    networks["network_reco"] = Neural("tair", "plant_type", width=3, reach=2.0)
    return HybridFlux(gpp=(direct.productivity,), reco=(direct.respiration,), sources=networks)


def a_model(*, network=False, years=False, own=(), stacked=False):
    """A model with soil water, effects of places (and of years), perhaps a network on daily inputs and on covariates of one's own, perhaps
    stacked with networks that have no physics."""
    efficiency = Neural("plant_type", "tair_30d", "fapar_30d", *own, width=4) if network else PerClass()
    efficiency = Pooled(efficiency)
    model = HybridFlux(
        gpp=(light.absorbed, light.saturation, stress.low_temperature, stress.vpd_exponential, stress.water_ramp),
        reco=(respiration.lin_gpp, respiration.lloyd_taylor, respiration.moisture_ramp),
        memory=(water.BUCKET,),
        sources={
            "light_use_efficiency": Pooled(efficiency, by="site_year", spread=0.2) if years else efficiency,
            "vpd_sensitivity": Shared(),
            "rew_critical": Shared(),
            "respiration_ref": Pooled(PerClass()),
            "respiration_gpp_share": Shared(),
            "root_zone_capacity": Given("soil_capacity"),
            "drainage_rate": Shared(),
        },
    )
    return Stacked(model, a_network(), SHARE) if stacked else model


def a_posterior(draws=6, seed=0, size=0.5, **kind):
    """Draws around the prior median, `size` prior standard deviations wide."""
    model = with_places(a_model(**kind), {"site": 3, "site_year": 6})
    leaves = learned(model)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    values = {name: size * jax.random.normal(key, (draws, *leaf.shape)) for (name, leaf), key in zip(leaves.items(), keys, strict=True)}
    return Posterior(with_learned(model, values), Indices(("a", "b", "c"), (2017, 2018)), info={"method": "made up"})


@pytest.fixture(scope="session")
def make_region():
    """The function that writes a region."""
    return made_up


@pytest.fixture(scope="session")
def make_posterior():
    """The function that makes a posterior."""
    return a_posterior


@pytest.fixture(scope="session")
def region_path(tmp_path_factory):
    """Path of a region of 24 x 20 pixels, two years, two weather cells, tiles of 10."""
    return made_up(tmp_path_factory.mktemp("region") / "small.zarr").path
