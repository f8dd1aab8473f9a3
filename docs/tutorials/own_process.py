# ---
# jupyter:
#   kernelspec: {name: python3, display_name: Python 3, language: python}
# ---

# %% [markdown]
# # Your own process
#
# Add a response to hot days, with a parameter of its own, without touching the package. It is fitted, saved, checked and mapped like those of hybridflux.
#
# A process is a pure function of named arrays. Its argument names are its declaration: `tair` is a variable of the [vocabulary](../reference/variables.md),
# `heat_half` is new, so that it brings its row: unit, meaning, typical value, bounds, prior sd and source.

# %%
from pathlib import Path

Path("my_heat.py").write_text('''"""Light use falls on hot days."""

import jax.numpy as jnp

import hybridflux as hf

HALF = hf.Parameter("heat_half", "degC", "mean temperature of a day of half light use", 30.0, 20.0, 45.0, 0.7, "made up for this page")


@hf.process(parameters=[HALF], bounds=(0.0, 1.0))
def heat(*, tair, heat_half):
    """Limitation of light use by a hot day [1], in (0, 1).

    >>> float(heat(tair=30.0, heat_half=30.0))
    0.5
    """
    return 1.0 / (1.0 + jnp.exp((tair - heat_half) / 3.0))


model = hf.HybridFlux(
    gpp=(hf.light.absorbed, hf.light.saturation, hf.stress.vpd_exponential, heat),
    reco=(hf.respiration.lin_gpp, hf.respiration.lloyd_taylor),
    sources={
        "light_use_efficiency": hf.Pooled(hf.PerClass()),
        "respiration_ref": hf.Pooled(hf.PerClass()),
        "heat_half": hf.Shared(),
    },
    observed=(hf.observe.nee(weight=0.2),),
)
''');

# %% [markdown]
# ## Check it
#
# `check_process` runs the example of the docstring, looks for infinite values and slopes at all corners of the bounds, and for parameters that change nothing.

# %%
import hybridflux as hf
from my_heat import heat, model

hf.check_process(heat)
print("good; the model needs", ", ".join(model.needs()))

# %% [markdown]
# What it catches:

# %%
import jax.numpy as jnp

square_root = hf.Parameter("slope", "1", "slope", 1.0, 0.1, 2.0, 0.7, "made up")


@hf.process(parameters=[square_root])
def rooted(*, vpd, slope):
    """A limit whose slope is infinite in humid air [1]."""
    return 1.0 / (1.0 + slope * jnp.sqrt(vpd))


try:
    hf.check_process(rooted)
except ValueError as error:
    print(error)

# %% [markdown]
# ## Fit it
#
# The truth of these made-up towers has no such response. Look at what the fit says about `heat_half`.

# %%
from hybridflux.twin.world import make_world

make_world("world", size=24, towers=6, seed=0);

# %% language="bash"
# hybridflux fit --towers world/towers --model my_heat.py --method laplace --seed 1 --out posterior.nc

# %%
import matplotlib.pyplot as plt
import numpy as np
from hybridflux.model.learned import parameters_over_draws

posterior = hf.Posterior.load("posterior.nc")
half = np.asarray(parameters_over_draws(posterior.model, {}, only=["heat_half"])["heat_half"]).ravel()
figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
temperature = np.linspace(0, 40, 100)
for value in half[:60]:
    axes.plot(temperature, heat(tair=temperature, heat_half=value), color="#2a7f8e", alpha=0.12)
axes.plot(temperature, heat(tair=temperature, heat_half=30.0), "k--", linewidth=1, label="typical value of the prior")
axes.set(xlabel="mean temperature of the day [°C]", ylabel="light use that is left [1]", title=f"60 draws; heat_half = {half.mean():.1f} ± {half.std():.1f} °C")
axes.legend();

# %% [markdown]
# The fit is sure of a response that does not exist. The model of this page has no soil water, and hot days are dry days; what is learned is what helps, not what is true:
# [identifiability](../concepts/identifiability.md). With `hf.water.BUCKET` and `hf.stress.water_ramp` beside it, the same towers gave 33.0 °C (30.5 to 35.7), hotter
# than almost all of their days (fitted once, when this page was written). Give a new process its rivals before you believe it.
#
# ## Map it
#
# A posterior names `my_heat:heat` and never holds code. Another command is given the file; if it has changed since the fit, you are warned.

# %% language="bash"
# hybridflux map --posterior posterior.nc --region world/region.zarr --draws 16 --with my_heat.py --out run
# hybridflux info run | head -n 12

# %% [markdown]
# More recipes, memories, observations, outputs, satellites, readers and methods: [add](../howto/add.md).
