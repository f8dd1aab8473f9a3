# ---
# jupyter:
#   kernelspec: {name: python3, display_name: Python 3, language: python}
# ---

# %% [markdown]
# # A drought ledger
#
# What has a dry season taken, and was it the dry soil, the dry air, the heat, or leaves that were no longer green? The ledger compares a season with the usual season of the same
# place, **with the same draws**, and splits the change by cause, so that the causes add up to the whole in every draw.
#
# The made-up region has a dry summer in 2022, and came with the climatology of the eight years before.

# %%
from hybridflux.twin.world import make_world

make_world("world", size=40, towers=6, seed=0);

# %% language="bash"
# hybridflux fit --towers world/towers --model static --method laplace --seed 1 --out posterior.nc | grep concerns
# hybridflux drought --posterior posterior.nc --region world/region.zarr --start 2022-05-01 --end 2022-09-30 --draws 16 --seed 1 --out ledger
# ls ledger

# %% [markdown]
# ## What it took, and by which cause

# %%
import pandas as pd

ledger = pd.read_csv("ledger/drought.csv", comment="#")
whole = ledger.query("zone == 'region' and land_cover == 'all' and variable in ['GPP', 'RECO', 'NEE']")
whole.pivot_table(index="cause", columns="variable", values="mean", sort=False).round(1)

# %% [markdown]
# NEE is positive to the atmosphere, so that a positive change is carbon that the land did not take up. `all` is the whole change; the rows below it add up to it. Greenness has no part
# here, as the warning says: this region knows two years of it, which do not make a usual one. With more years it has, or `--reference 2017:2021`.
#
# The causes of GPP with their intervals. Soil and air dry out together; where one may stand for the other in the draws, the ledger says so.

# %%
gpp = whole.query("variable == 'GPP'")
gpp[["cause", "mean", "q05", "q95", "percent", "units"]].round(1)

# %% [markdown]
# ## Where did it take more, and is the difference real?
#
# Losses by class are made of the finished ledger, without another map: by land cover they are there already, by soils, crops, mowing or polygons of yours they are one command
# ([how to](../howto/drought.md)). `probability` is the share of draws in which the first class lost more.

# %% language="bash"
# hybridflux drought --out ledger --by soil_capacity

# %%
pairs = pd.concat([pd.read_csv(f"ledger/drought_by_{by}_differences.csv", comment="#") for by in ("land_cover", "soil_capacity")])
pairs = pairs.query("variable == 'GPP' and cause == 'all' and units == 'gC m-2'")
pairs[["first", "second", "mean", "q05", "q95", "probability"]].round(2)

# %% [markdown]
# ## What if?
#
# A scenario asks about weather that was not. It maps the region twice with the same draws; what these disagree about cancels in the difference.

# %% language="bash"
# hybridflux scenario --posterior posterior.nc --region world/region.zarr --draws 16 --seed 1 \
#     --change 'rain=*0.5' --change tair=+2 --change 'vpd=*1.3' --out drier

# %%
import numpy as np
from hybridflux.products.totals import open_totals


def mean_nee(run):
    """NEE of the region in each draw [gC m-2 yr-1]."""
    totals = open_totals(run)
    return totals.sum("NEE", np.arange(len(totals.area)), slice(None)) / totals.area.sum()


usual, drier = mean_nee("drier/control"), mean_nee("drier/changed")
print(f"NEE {usual.mean():.0f}, sd over draws {usual.std(ddof=1):.0f} gC m-2 yr-1")
print(f"effect {(drier - usual).mean():+.0f}, sd over draws {(drier - usual).std(ddof=1):.0f}: paired")
print(f"if the two runs were independent, sd {np.hypot(usual.std(ddof=1), drier.std(ddof=1)):.0f}")

# %% [markdown]
# ## On pages
#
# The two runs side by side, with maps on one scale: [side_by_side.html](side_by_side.html). The ledger on the page of the run, by land cover, as a map of the largest cause
# and over the season: [report.html](report.html).

# %% language="bash"
# hybridflux report --run drier/control --run drier/changed --out side_by_side.html
# hybridflux report --run drier/control --drought ledger --out report.html

# %% [markdown]
# ## What to believe
#
# - Effects of places and the structural error are the same in both runs and cancel. What the model does not know about droughts is not in the interval.
# - A scenario of a model on fapar keeps the vegetation that was seen: leaves that would have browned stay green. Where the model reads NIRv and LSWI they
#   follow the rain deficit (`--leaves`). The ledger has greenness as a cause of its own.
# - Neither holds the years after: mortality, lost reserves, beetles.
