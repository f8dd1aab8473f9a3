"""Towers in steps of ten days: clear views and the rain deficit before them, for `inference.fit_leaf_response`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from hybridflux.data.towers import Towers
from hybridflux.inference.fit_leaf_response import MEMORIES, TowerSteps
from hybridflux.process.leaves import rain_deficit
from hybridflux.time import warm_season

WEATHER = ("tair", "par", "vpd", "rain")
STEP, MONTH, MOST_VIEWS = 10, 30, 3
LEAST_KNOWN = 0.97  # share of measured or interpolated weather in the two months before
FAINTEST = 0.02  # NIRv; the logarithm of less is noise of soil and shadow


def leaf_steps(towers: Towers, views: Mapping[str, pd.Series], memories: Sequence[float] = MEMORIES) -> list[TowerSteps]:
    """Steps of the warm season with a clear view and measured weather, of every tower that has views.

    Args:
        towers: with `WEATHER`.
        views: `nirv` and `lswi`: clear views by (site, day).
        memories: of the deficit [d].
    """
    sites = [site for site in towers.sites.index if all(site in of.index.levels[0] for of in views.values())]
    return [one for site in sites if len(one := _steps(towers, site, {name: of.xs(site) for name, of in views.items()}, memories))]


def _steps(towers: Towers, site: str, views: Mapping[str, pd.Series], memories: Sequence[float]) -> TowerSteps:
    here = towers.daily.sel(site=site)
    days = pd.DatetimeIndex(here["time"].to_numpy())
    weather = {name: here[name].to_numpy().astype(float) for name in WEATHER}
    known = np.all([here[f"{name}_flag"].to_numpy() <= 1 for name in WEATHER], axis=0)  # given or interpolated
    water = {name: weather[name] for name in ("tair", "par", "rain")}
    daily = pd.DataFrame(
        {f"deficit_{memory:g}": rain_deficit(**water, memory_days=memory) for memory in memories}
        | {name: pd.Series(weather[name]).rolling(MONTH, min_periods=1).mean() for name in ("tair", "par", "vpd")}
        | {"known": pd.Series(known.astype(float)).rolling(2 * MONTH, min_periods=1).mean()}
    ).set_index(days)
    seen = daily.join(pd.DataFrame(views), how="inner").dropna()
    months = warm_season(float(towers.sites.loc[site, "lat"]))
    seen = seen[seen.index.month.isin(months) & (seen.known >= LEAST_KNOWN)]
    first = f"-{months[0]:02d}-01"
    begins = pd.to_datetime(pd.Series(seen.index.year - (seen.index.month < months[0])).astype(str) + first).to_numpy()
    day = (seen.index.to_numpy() - begins).astype("timedelta64[D]").astype(int)
    keys = [begins.astype("datetime64[Y]").astype(int) + 1970, day // STEP]
    mean, views_of = seen.groupby(keys).mean(), seen.groupby(keys).size().to_numpy(float)
    year, step = (mean.index.get_level_values(level).to_numpy() for level in (0, 1))
    return TowerSteps(
        site, str(towers.sites.loc[site, "igbp"]), year, step * STEP / (30.5 * len(months)), np.minimum(views_of, MOST_VIEWS),
        {"nirv": np.log(np.maximum(mean.nirv.to_numpy(), FAINTEST)), "lswi": mean.lswi.to_numpy()},
        {memory: mean[f"deficit_{memory:g}"].to_numpy() for memory in memories}, mean[["tair", "par", "vpd"]].to_numpy(),
    )  # fmt: skip
