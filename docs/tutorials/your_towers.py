# ---
# jupyter:
#   kernelspec: {name: python3, display_name: Python 3, language: python}
# ---

# %% [markdown]
# # Your towers
#
# Put files as they were downloaded into a folder, read and check them, fit, and see how well unseen sites are predicted. The towers here are made up; FLUXNET2015,
# ICOS and AmeriFlux FLUXNET files have the same layout ([where to get them](../../README.md#a-towers-folder)).

# %%
from hybridflux.twin.world import make_world

make_world("world", size=16, towers=6, seed=0);

# %% language="bash"
# cp -r world/towers my_towers
# ls my_towers my_towers/fluxnet_dd my_towers/satellite
# head -4 my_towers/sites.csv

# %% [markdown]
# ## Read and check
#
# `open_towers` reads what is there and says what it leaves out. A fault that you can mend is one message with the file, the row and the cure. Let us make one: a cell
# that means two things.

# %%
import hybridflux as hf

towers = hf.open_towers("my_towers")
sequences = towers.sequences(("fapar", "par", "tair", "vpd"))  # drivers that a model needs, and what was measured
print(len(sequences.places), "sites:", *sequences.places)

# %%
from pathlib import Path

table = Path("my_towers/sites.csv")
good = table.read_text()
lines = good.splitlines()
first = lines[1].split(",")
first[2] = '"48,7x"'  # the latitude
table.write_text("\n".join([lines[0], ",".join(first), *lines[2:]]))
try:
    hf.open_towers("my_towers")
except ValueError as error:
    print(error)
table.write_text(good);

# %% [markdown]
# ## What goes in
#
# NEE, with days of which at least 75 % of the half-hours were measured or well filled. GPP and RECO of these files are products of a partitioning model, and are used for scores
# only.

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(9, 2.8), layout="constrained")
axes.plot(sequences.days, sequences.targets["nee"][:, 0], ".", markersize=2, color="#14535e")
axes.axhline(0, color="0.6", linewidth=0.8)
axes.set(ylabel="NEE [gC m⁻² d⁻¹], positive to the atmosphere", title=f"{sequences.places[0]}, days that are fitted")
axes.title.set_fontsize(10)
axes.yaxis.label.set_fontsize(8)

# %% [markdown]
# ## Fit
#
# With real towers, leave out `--model` and `--method`: hybridflux then takes networks and an ensemble, and where the folder has reflectance of satellites the model
# that reads it ([choosing](../howto/choose.md)). `static` with `laplace` is quick.

# %% language="bash"
# hybridflux fit --towers my_towers --model static --method laplace --seed 1 --out posterior.nc

# %% [markdown]
# ## How good is it?
#
# At sites that it has *not* seen, which is what a map needs: refitted twice, each time without half of the sites. Use 10 folds for numbers that you quote, and
# `hybridflux fit --years`, then `evaluate --posterior`, for years that a fit has not seen.

# %% language="bash"
# hybridflux evaluate --leave-site-out 2 --towers my_towers --model static --method map --seed 1 --step day --out unseen.csv

# %% [markdown]
# The last column should be near 90 %; much less means that the intervals promise too much. Here it is more: six towers say little about what the model gets wrong,
# so the interval keeps the [prior of real towers](../concepts/structural_error.md), and made-up towers follow the model better than real ones do.
#
# Everything about the fit on one page, with residuals, responses and calibration: [towers.html](towers.html).

# %% language="bash"
# hybridflux report --posterior posterior.nc --towers my_towers --out towers.html

# %% [markdown]
# ## Predict
#
# A posterior predicts at towers with draws, units and sign:

# %%
posterior = hf.Posterior.load("posterior.nc")
predicted = posterior.predict(towers, seed=0)
place = sequences.places[0]
nee = predicted.nee.sel(place=place)
low, mean, high = nee.quantile(0.05, "draw"), nee.mean("draw"), nee.quantile(0.95, "draw")
figure, axes = plt.subplots(figsize=(9, 2.8), layout="constrained")
axes.fill_between(nee.time, low, high, color="#2a7f8e", alpha=0.25, linewidth=0, label="90 % of the draws")
axes.plot(nee.time, mean, color="#14535e", linewidth=0.8, label="mean")
axes.plot(sequences.days, sequences.targets["nee"][:, 0], ".", color="#c0562f", markersize=2, label="measured")
axes.set(ylabel="NEE [gC m⁻² d⁻¹]")
axes.legend(ncols=3, fontsize=8);

# %% [markdown]
# As a table of days, months or years, with intervals that hold the errors of the model and of measuring, also of places whose files have weather alone:

# %% language="bash"
# hybridflux predict --posterior posterior.nc --towers my_towers --step month,year --out predicted.csv

# %% [markdown]
# The band of the figure is that of the parameters and effects; with the error of a day and what the model itself gets wrong, `predict(towers, noise=True)`, it is wider:
# [which interval to quote](../concepts/intervals.md).
