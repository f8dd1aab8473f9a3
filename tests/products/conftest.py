"""A run folder with made-up totals, as the region engine writes them."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hybridflux.vocabulary import PLANT_TYPES

CELLS = (("north", "CRO", 2.0e6), ("north", "GRA", 1.0e6), ("south", "CRO", 1.0e6), ("south", "WAT", 5.0e5))
NEE = {"CRO": -200.0, "GRA": -50.0, "WAT": 0.0}  # gC m-2 yr-1
GPP = {"CRO": 1200.0, "GRA": 900.0, "WAT": 0.0}


@pytest.fixture
def make_run(tmp_path):
    """Function that writes a run folder; every cell of a draw is off by the same factor, as shared draws make them."""

    def make(
        name="run", *, spread="parameter+random_effects", start="2018-01-01", end="2018-12-31", draws=41, nee=NEE, shift=None,
        structural=None,
    ):  # fmt: skip
        folder = tmp_path / name
        folder.mkdir()
        days = pd.date_range(start, end)
        months = pd.DatetimeIndex(sorted({day.replace(day=1) for day in days}))
        count = np.array([((days.year == m.year) & (days.month == m.month)).sum() for m in months])
        error = np.linspace(-1.0, 1.0, draws)
        total = np.zeros((3, len(CELLS), len(months), draws))
        for c, (_, code, area) in enumerate(CELLS):
            year = np.array([(shift or {}).get(m.year, 0.0) for m in months])
            total[0, c] = ((nee[code] + year * (nee[code] != 0)) * count / 365 * area)[:, None] * (1 + 0.5 * error)
            total[1, c] = (GPP[code] * count / 365 * area)[:, None] * (1 + 0.1 * error)
        total[2] = total[0] + total[1]
        names = {"1": "north", "2": "south"}
        data = xr.Dataset(
            {"total": (("flux", "cell", "month", "draw"), total, {"units": "g"})},
            coords={
                "flux": ["NEE", "GPP", "RECO"],
                "month": months,
                "zone": ("cell", [1 if zone == "north" else 2 for zone, _, _ in CELLS]),
                "plant_type": ("cell", [PLANT_TYPES.index(code) for _, code, _ in CELLS]),
                "area": ("cell", [area for _, _, area in CELLS]),
                "days": ("month", count),
            },
            attrs={"zone_names": json.dumps(names)} | ({"spread": spread} if spread else {}),
        )
        if structural is not None:
            data["structural"] = (("cell", "month", "draw"), structural * total[1] * np.cos(np.arange(draws)) / np.cos(1.0))
        data.to_netcdf(folder / "totals.nc", engine="h5netcdf")
        (folder / "run.json").write_text(json.dumps({"state": "done", "spread": spread}))
        return folder

    return make
