"""A map of where one more tower would tell most of a region."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.files import whole
from hybridflux.ours import MAKER
from hybridflux.region.draws import tower_effects
from hybridflux.region.map import job_of_run
from hybridflux.region.store import layout
from hybridflux.vocabulary import PLANT_TYPES

NUMBERED = 5  # best candidates whose rank is written
WIDEST = 400  # pixels along the longer side of the land cover; more are left out evenly


def write_figure(table: pd.DataFrame, run: str | Path, out: str | Path) -> Path:
    """Candidates over the land cover, coloured by how much they reduce the sd of the region's NEE, and towers that the run knows.

    Args:
        table: of `products.next_tower`.
        run: its run folder.
        out: PNG to write.
    """
    import matplotlib
    from matplotlib.figure import Figure

    job = job_of_run(Path(run))
    grid, kinds = job.region.grid, job.region.group["plant_type"][...]
    step = -(-max(grid.shape) // WIDEST)
    inside = (kinds != layout.OUTSIDE)[::step, ::step]
    cover = np.where(inside, kinds[::step, ::step] / len(PLANT_TYPES), np.nan)
    height, width = (size * grid.pixel / 1e3 for size in grid.shape)
    corner, box = np.array([grid.west, grid.north - 1e3 * height]), (0.0, width, 0.0, height)
    with matplotlib.rc_context({"font.size": 9, "axes.titlesize": 9, "axes.titlelocation": "left", "figure.facecolor": "white"}):
        drawn = Figure(figsize=(6.4, 5.2), layout="constrained")
        ax = drawn.subplots()
        ax.imshow(cover, extent=box, cmap="Greys", vmin=-0.3, vmax=2.0, interpolation="nearest", aspect="equal")
        at = (table[["x", "y"]].to_numpy() - corner) / 1e3
        dots = ax.scatter(*at.T, c=100 * table["reduction"], s=46, cmap="viridis", vmin=0, edgecolor="white")
        for rank, point in zip(table["rank"][:NUMBERED], at, strict=False):
            ax.annotate(str(rank), point, (5, 4), textcoords="offset points", fontsize=8, fontweight="bold")
        known = job.spec.draws.towers or ()
        at = (tower_effects.positions(known, grid) - corner) / 1e3
        within = (at[:, 0] > box[0]) & (at[:, 0] < box[1]) & (at[:, 1] > box[2]) & (at[:, 1] < box[3])
        if within.any():
            ax.plot(*at[within].T, "^", color="#c0392b", markersize=9, markeredgecolor="white", label="tower of the posterior")
            ax.legend(loc="upper right", frameon=True)
        drawn.colorbar(dots, ax=ax, label="expected reduction of the sd of the region's NEE [%]")
        ax.set(xlabel="km from the western edge", ylabel="km from the southern edge", xlim=box[:2], ylim=box[2:])
        ax.set_title(f"NEE of the region, mapped period: sd {table['sd'].iloc[0]:.3g} gC m$^{{-2}}$ without another tower")
        with whole(Path(out)) as partial:
            drawn.savefig(partial, format="png", dpi=150, metadata={"Software": MAKER})
    return Path(out)
