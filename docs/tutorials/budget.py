# ---
# jupyter:
#   kernelspec: {name: python3, display_name: Python 3, language: python}
# ---

# %% [markdown]
# # Closing a budget
#
# A map of NEE is a claim about carbon. Forest inventories, soil surveys and harvest statistics measure the same carbon in another way. This page holds the two against each other, with
# the uncertainty of both, and then adds what management takes away.

# %%
from hybridflux.twin.world import make_world

make_world("world", size=40, towers=6, seed=0);

# %% language="bash"
# hybridflux fit --towers world/towers --model static --method laplace --seed 1 --out posterior.nc | grep concerns
# hybridflux map --posterior posterior.nc --region world/region.zarr --draws 32 --seed 1 --out run
# head -n 5 world/inventory.csv

# %% [markdown]
# ## Why the total is not made of pixels
#
# The interval of the region, summed per draw, and what it would be if pixels erred independently:

# %%
import numpy as np
import xarray as xr
from hybridflux.products.totals import open_totals

totals = open_totals("run")
per_draw = totals.sum("NEE", list(range(len(totals.area))), slice(None)) / totals.area.sum()
maps = xr.open_zarr("run/fluxes.zarr", group="annual").NEE_sd.isel(time=0).values
count = np.isfinite(maps).sum()
print(f"sd of the region's NEE, per draw:             {per_draw.std(ddof=1):6.1f} gC m-2 yr-1")
print(f"sd if {count} pixels were independent (wrong): {np.sqrt(np.nansum(maps**2)) / count:6.1f} gC m-2 yr-1")

# %% [markdown]
# [Draws and totals](../concepts/draws.md) says why.
#
# ## Against the inventory
#
# An inventory is a table of measured changes of pools, with their standard deviation: `biomass` and `soil` gain carbon, `export` leaves. Then NBP = −NEE − export should be the stock
# change.

# %%
import hybridflux as hf

budget = hf.budget_table("run", inventory="world/inventory.csv")
compared = budget[budget.variable == "NBP"]
compared[["zone", "land_cover", "period", "mean", "sd", "stock_change", "stock_change_sd", "difference", "z", "verdict", "limiting_term"]].round(1).head(8)

# %% [markdown]
# The verdict has three words, because "not significantly different" is not "closed":
#
# - **open**: the two differ by more than 1.96 standard deviations;
# - **closed**: they do not, and a gap of half of the largest term would have been seen;
# - **undecidable**: they do not, and it would not have been seen. `limiting_term` says which measurement would help most.
#
# Here nothing can be decided: six towers leave the flux too uncertain, and `flux` is the limiting term. More towers would help, better inventories would not. Turned around,
# [`hybridflux assimilate`](../reference/commands.md#hybridflux-assimilate) says what the measured stock changes tell about the fluxes, and whether the
# two agree then (`agree`, `disagree`, or what would decide).

# %%
compared.verdict.value_counts().to_frame("comparisons")

# %% [markdown]
# ## The ledger
#
# What a mower and a harvester take away is not in NEE. Say when, in a table of events; where the yield was weighed, give that instead of a share of GPP. (A region built from
# views has `hybridflux events`, which finds mowing and harvest in its vegetation series, with a probability and a standard deviation of the day.)

# %%
from pathlib import Path

Path("events.csv").write_text("""zone,land_cover,date,event,date_sd
region,GRA,2022-06-01,mowing,5
region,GRA,2022-08-10,mowing,5
region,CRO,2022-07-20,harvest,4
""")
Path("yields.csv").write_text("""zone,land_cover,pool,start_year,end_year,value,sd
region,CRO,export,2022,2022,310,40
""");

# %% language="bash"
# hybridflux ledger --run run --events events.csv --yields yields.csv --out ledger.csv

# %%
import pandas as pd

ledger = pd.read_csv("ledger.csv", comment="#")
here = ledger.query("zone == 'region'")
here.pivot_table(index=["land_cover", "period"], columns="variable", values="mean", sort=False).round(0)

# %% [markdown]
# An empty cell is something that nobody knows: no NBP without an export. Wood that is felled needs a row of `--yields`.
#
# Everything on one page: [report.html](report.html).

# %% language="bash"
# hybridflux report --run run --inventory world/inventory.csv --events events.csv --yields yields.csv --out report.html
