# ---
# jupyter:
#   kernelspec: {name: python3, display_name: Python 3, language: python}
# ---

# %% [markdown]
# # What a drought costs
#
# The same region twice, with and without a change of the weather, **with the same draws**. What the draws disagree about cancels in the difference, so the effect
# is known better than the flux.

# %%
from hybridflux.twin.world import make_world

make_world("world", size=40, towers=6, seed=0);

# %% language="bash"
# hybridflux fit --towers world/towers --model static --method laplace --seed 1 --out posterior.nc | grep concerns
# hybridflux scenario --posterior posterior.nc --region world/region.zarr --draws 16 --seed 1 \
#     --change 'rain=*0.5' --change tair=+2 --change 'vpd=*1.3' --out drought
# ls drought

# %% [markdown]
# A change is `*0.5`, `+2` or `climatology`, of any driver. `tair=+2` moves the minimum and the night with it; VPD stays where it is, so that it is named as well.
# `rain=climatology` asks the opposite question: what would a usual year have been?
#
# ## The effect, draw by draw

# %%
import pandas as pd

effect = pd.read_csv("drought/effect.csv", comment="#")
whole = effect.query("zone == 'region' and land_cover == 'all'")
whole[["period", "variable", "mean", "q05", "q95", "units"]].round(1)

# %%
import numpy as np
from hybridflux.products.totals import open_totals


def mean_nee(run):
    """NEE of the region in each draw [gC m-2 yr-1]."""
    totals = open_totals(run)
    return totals.sum("NEE", np.arange(len(totals.area)), slice(None)) / totals.area.sum()


usual, drought = mean_nee("drought/control"), mean_nee("drought/changed")
print(f"NEE {usual.mean():.0f}, sd over draws {usual.std(ddof=1):.0f} gC m-2 yr-1")
print(f"effect {(drought - usual).mean():+.0f}, sd over draws {(drought - usual).std(ddof=1):.0f}: paired")
print(f"if the two runs were independent, sd {np.hypot(usual.std(ddof=1), drought.std(ddof=1)):.0f}")

# %% [markdown]
# ## Where it is felt

# %%
import matplotlib.pyplot as plt
import xarray as xr

maps = {name: xr.open_zarr(f"drought/{name}/fluxes.zarr", group="annual").NEE.isel(time=0) for name in ("control", "changed")}
difference = maps["changed"] - maps["control"]
limit = float(abs(difference).max())
figure, axes = plt.subplots(figsize=(5, 3.8), layout="constrained")
difference.plot(ax=axes, cmap="BrBG_r", vmin=-limit, vmax=limit, cbar_kwargs={"label": "change of NEE [gC m⁻² yr⁻¹]\nbrown: more carbon to the atmosphere"})
axes.set(aspect="equal", title="the drier, warmer year less the year as it was", xlabel="easting [m]", ylabel="northing [m]");

# %% [markdown]
# ## What to believe
#
# - The spread of an effect is `parameter`: effects of places and the structural error are left out, as if they were the same in both runs. What the model does not know about
#   droughts is not in it.
# - The vegetation is that which was seen. Leaves that would have browned in *your* drought stay green; the scenario holds what weather and soil water do to the leaves that
#   were there.
# - The report of a run shows it: `hybridflux report --run run --scenario drought --out report.html`.
