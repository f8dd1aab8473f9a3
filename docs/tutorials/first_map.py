# ---
# jupyter:
#   kernelspec: {name: python3, display_name: Python 3, language: python}
# ---

# %% [markdown]
# # First map
#
# From towers to a map of net ecosystem exchange with its uncertainty, in two minutes and without any data of your own: a made-up world stands for
# the towers and the region. What you type is what you type for real data.
#
# The sign is that of the whole project: **NEE = RECO − GPP, positive to the atmosphere**. A forest that takes up carbon has a negative NEE.

# %% [markdown]
# ## A world
#
# Six towers of three years, and a region of 40 × 40 pixels of 10 m around them, in the layout that your own data need. The last year has a dry summer.

# %%
from hybridflux.twin.world import make_world

world = make_world("world", size=40, towers=6, seed=0)

# %% language="bash"
# ls world world/towers world/towers/fluxnet_dd

# %% [markdown]
# `towers/` is what [your towers](your_towers.py) look like; `region.zarr` is what `hybridflux region build` writes. `truth.json` is the luxury of a
# made-up world: we know what the answer should be.
#
# ## Fit
#
# `static` is the smallest model: physics alone, with one value of each parameter for a plant type and an effect for every site. The method `laplace`
# finds the best parameters and how far the towers leave them open.

# %% language="bash"
# hybridflux fit --towers world/towers --model static --method laplace --seed 1 --out posterior.nc

# %% [markdown]
# Read the table from the top: which sites were used, how far the towers moved each parameter from its prior, and what to doubt. A parameter that
# did not move was not informed: [identifiability](../concepts/identifiability.md).
#
# ## Map
#
# Every pixel and day is computed with the same draws of the posterior. Sixteen draws are enough to look; take 64 or more for numbers that you quote.

# %% language="bash"
# hybridflux map --posterior posterior.nc --region world/region.zarr --draws 16 --seed 1 --out run

# %% [markdown]
# ## Look
#
# The maps are a Zarr store; xarray opens it. The annual sum of NEE, and its standard deviation over the draws:

# %%
import matplotlib.pyplot as plt
import xarray as xr

year = xr.open_zarr("run/fluxes.zarr", group="annual").isel(time=0)
figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
limit = float(abs(year.NEE).max())
year.NEE.plot(ax=panels[0], cmap="BrBG_r", vmin=-limit, vmax=limit, cbar_kwargs={"label": "NEE [gC m⁻² yr⁻¹], positive to the atmosphere"})
year.NEE_sd.plot(ax=panels[1], cmap="magma_r", cbar_kwargs={"label": "sd of NEE [gC m⁻² yr⁻¹]"})
for panel, title in zip(panels, ("mean of the draws", "standard deviation"), strict=True):
    panel.set(title=title, aspect="equal", xlabel="easting [m]", ylabel="northing [m]")

# %% [markdown]
# Everything on one page that opens offline, with a date slider: [report.html](report.html).

# %% language="bash"
# hybridflux report --run run --posterior posterior.nc --out report.html

# %% [markdown]
# ## The sum of the region
#
# A total is summed **per draw**, over all pixels, and then summarised. Pixels share the errors of the parameters, so that their errors do not
# average out: [what a draw is](../concepts/draws.md).

# %% language="bash"
# hybridflux budget --run run --out budget.csv

# %%
import hybridflux as hf

budget = hf.budget_table("run")  # the same table
whole = budget.query("zone == 'region' and land_cover == 'all' and quantity == 'flux'")
whole[["period", "variable", "mean", "sd", "q05", "q95", "units", "spread"]].round(0)

# %% [markdown]
# `spread` says what the interval holds: parameters, effects of unseen places and years, and what the model itself gets wrong:
# [which interval to quote](../concepts/intervals.md).
#
# ## Was it right?
#
# This world knows its truth. An interval of 90 % should hold it in about nine of ten cases; the rows of one region share their errors, so they are
# right or wrong together.

# %%
from hybridflux.products.budget import budget_of
from hybridflux.report.budget_tables import with_truth
from hybridflux.report.truth import read_truth

both = with_truth(budget, budget_of(read_truth("world/truth.nc").totals))
both.query("variable == 'NEE' and quantity == 'flux'")[["zone", "land_cover", "mean", "q05", "q95", "truth", "inside"]].round(0)

# %% [markdown]
# ## Next
#
# - [Your towers](your_towers.py): the same with files as they are downloaded.
# - [Your region from Sentinel-2](your_region.py).
# - `hybridflux view run` shows any run in a browser: dates, uncertainty, pixels, polygons.
