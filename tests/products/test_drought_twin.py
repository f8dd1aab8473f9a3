"""The ledger of a model that was fitted to towers of the twin, in a summer with both dry soil and dry air, beside the known truth.

`pytest -m slow tests/products/test_drought_twin.py`: some 30 s of the processor a seed. With 12 towers and 4 years, seeds 4 to 8 gave VPD
87, 100, 98, 98 and 101 % of what it took and soil water 100 to 102 %; the 90 % interval of VPD is 11 to 17 % wide on either side, so that
a single fit may miss by more than a tenth. 20 towers and 6 years bring it to 7 to 10 %.
"""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from hybridflux.causes import CAUSES, change_name
from hybridflux.data.towers import open_towers
from hybridflux.inference import NUTS
from hybridflux.inference.methods.base import InferenceWarning
from hybridflux.model import compositions
from hybridflux.products.drought import NOT_SEPARABLE, separable
from hybridflux.products.drought_towers import changes_at_towers
from hybridflux.twin.tower_records import make_towers
from hybridflux.twin.true_model import true_fluxes

pytestmark = pytest.mark.slow

DRY = {"rain": 0.4, "vpd": 1.5}  # factors of May to August of the last year


TOWERS, YEARS = 20, (2017, 2022)


@pytest.fixture(scope="module", params=[4, 5, 6])
def ledgers(request, tmp_path_factory):
    """Changes of GPP of June to August by cause: of the draws of the fit `[draw, place]`, and of the true model `[place]`."""
    folder = tmp_path_factory.mktemp("towers")
    truth, model = make_towers(folder, TOWERS, YEARS, np.random.default_rng(request.param)), compositions.get("static")
    measured = open_towers(folder).sequences(model.needs_at_towers())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InferenceWarning)
        posterior = NUTS(warmup=150, draws=100, chains=2).fit(model, measured, seed=1).thin(64)
    dry = lambda days: (days >= np.datetime64("2022-05-01")) & (days < np.datetime64("2022-09-01"))  # noqa: E731
    summer = (measured.days >= np.datetime64("2022-06-01")) & (measured.days < np.datetime64("2022-09-01"))
    usual = {name: measured.drivers[name] for name in DRY}
    now = dry(measured.days)[:, None]
    actual = {name: np.where(now, factor * usual[name], usual[name]).astype(np.float32) for name, factor in DRY.items()}
    found = changes_at_towers(posterior, replace(measured, drivers={**measured.drivers, **actual}), summer, usual)
    fitted = {cause: found[change_name("gpp", cause)].sum(1) for cause in CAUSES}

    order = [list(truth.sites["site_id"]).index(place) for place in measured.places]
    days = (truth.days >= np.datetime64("2022-06-01")) & (truth.days < np.datetime64("2022-09-01"))
    gpp = {}
    for switched in ((), ("rain",), ("vpd",), ("rain", "vpd")):
        drivers = {**truth.drivers} | {
            name: np.where(dry(truth.days)[:, None], DRY[name] * truth.drivers[name], truth.drivers[name]).astype(np.float32)
            for name in switched
        }
        gpp[switched] = np.asarray(true_fluxes(truth.places.model(), drivers)["gpp"])[days].sum(0)[order]
    none, water, vpd, both = gpp.values()
    exact = {"soil_water": 0.5 * (water - none + both - vpd), "vpd": 0.5 * (vpd - none + both - water)}
    return fitted, exact


def test_each_driver_is_given_what_it_took(ledgers):
    """Over all towers each within a tenth, or the draws say that they do not distinguish the two; nothing else is given a part."""
    fitted, exact = ledgers
    whole = {cause: parts.sum(-1) for cause, parts in fitted.items()}
    if separable(-whole["soil_water"], -whole["vpd"]) != NOT_SEPARABLE:
        for cause, truth in exact.items():
            assert whole[cause].mean() == pytest.approx(truth.sum(), rel=0.1), cause
    loss = sum(truth.sum() for truth in exact.values())
    assert loss < 0 and all(abs(whole[cause].mean()) < 0.01 * abs(loss) for cause in CAUSES if cause not in exact)


def test_intervals_of_towers_hold_the_truth(ledgers):
    fitted, exact = ledgers
    for cause, truth in exact.items():
        low, high = np.quantile(fitted[cause], [0.05, 0.95], axis=0)
        assert ((low <= truth) & (truth <= high)).mean() > 0.6, (cause, low, truth, high)
