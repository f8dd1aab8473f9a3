"""The picture for a slide: its size, what it refuses, where north is."""

import numpy as np
import pytest
import xarray as xr
from matplotlib import image
from pyproj import CRS

from hybridflux.report.slide import north, write_slide

pytestmark = pytest.mark.long


@pytest.mark.parametrize("variable", ["NEE", "GPP"])
def test_a_slide_is_full_hd_and_shows_the_map(mapped, tmp_path, variable):
    shown = image.imread(write_slide(mapped.run, tmp_path / "slide.png", variable=variable))
    assert shown.shape[:2] == (1080, 1920)
    inside = shown[200:900, 80:820, :3]
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) > 20 and inside.std() > 0.05


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [("a.pdf", {}, "ends in .png"), ("a.png", {"variable": "LE"}, "it has GPP, NEE, RECO"), ("a.png", {"year": 1999}, "it has 2022")],
)
def test_what_it_cannot_draw_is_refused_by_name(mapped, tmp_path, name, options, says):
    with pytest.raises(ValueError, match=says):
        write_slide(mapped.run, tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("crs", "x", "y"), [("EPSG:32631", 500_000, 5_400_000), ("EPSG:2154", 100_000, 6_800_000)])
def test_the_arrow_points_to_true_north(crs, x, y):
    """On the central meridian of UTM the grid points north. West of that of Lambert-93 true north lies east of the grid's, by 0.7256 of
    the longitude from 3 degrees east: n of its cone (IGN, NTG_71: 0.7256077650)."""
    from pyproj import Transformer

    grid = xr.Dataset(coords={"x": [x - 5.0, x + 5.0], "y": [y + 5.0, y - 5.0]})
    grid["spatial_ref"] = ((), 0, CRS.from_user_input(crs).to_cf())
    longitude, _ = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    expected = 0.0 if crs.endswith("32631") else 0.7256 * (3.0 - longitude)
    assert north(grid) == pytest.approx(expected, abs=0.01)
