"""The line from an index to fapar: what it gives, what its error becomes, what the catalog refuses."""

import numpy as np
import pytest

from hybridflux.data.catalog import load_catalog
from hybridflux.data.harmonisation import ALL, IDENTITY, CalibrationLine
from hybridflux.region.draws.vegetation_error import CalibrationLineError, VegetationError, draw_vegetation_error

LINE = CalibrationLine(-0.168, 1.24, offset_sd=0.07, slope_sd=0.13, correlation=-0.7, residual_sd=0.04, highest=0.95)
FILE = """
id = "x"
kind = "satellite"
title = "X"
licence = "CC-BY-4.0"
citation = "X"
access = "ask"
[lines.ndvi.all]
offset = -0.1
slope = 1.1
"""


def test_fapar_stays_between_nothing_and_the_highest():
    fapar, sd = LINE.applied(np.array([[-0.2, 0.5], [0.8, 1.0], [np.nan, 0.1]]), np.full((3, 2), 0.02))
    np.testing.assert_allclose(fapar, [[0.0, 0.452], [0.824, 0.95], [np.nan, 0.0]], atol=1e-6)
    assert fapar.dtype == sd.dtype == np.float32


def test_sd_is_that_of_the_index_through_the_line_and_the_scatter_around_it():
    index = np.random.default_rng(1).normal(0.5, 0.05, 200_000)
    residual = np.random.default_rng(2).normal(0.0, LINE.residual_sd, index.size)
    fapar = LINE.applied(index, np.zeros_like(index))[0] + residual
    _, sd = LINE.applied(np.array([0.5]), np.array([0.05]))
    assert sd[0] == pytest.approx(fapar.std(), rel=0.01)


@pytest.mark.parametrize("line", [
    LINE, CalibrationLine(0.1, 0.9, 0.05, 0.1, 0.5), CalibrationLine(-0.168, 1.24, 0.0, 0.1), CalibrationLine(0.0, 1.1, 0.04, 0.1, -0.3),
    CalibrationLine(-0.1, 1.2, 0.03), CalibrationLine(0.9, -0.8, 0.04, 0.1, 0.6),
])  # fmt: skip
def test_relative_error_is_the_error_of_offset_and_slope(line):
    """Brute force: draws of offset and slope at several values of the index, against the error as one of fapar."""
    covariance = line.correlation * line.offset_sd * line.slope_sd
    drawn = np.random.default_rng(3).multivariate_normal(
        [line.offset, line.slope], [[line.offset_sd**2, covariance], [covariance, line.slope_sd**2]], 400_000
    )
    said = line.relative()
    mixed = said["correlation"] * said["offset_sd"] * said["slope_sd"]
    index = np.array([0.2, 0.4, 0.6, 0.8])
    fapar = line.offset + line.slope * index
    told = (said["slope_sd"] * fapar) ** 2 + said["offset_sd"] ** 2 + 2 * mixed * fapar
    brute = np.cov((drawn[:, :1] + drawn[:, 1:] * index).T)
    np.testing.assert_allclose(told, np.diag(brute), rtol=0.015)
    between = said["slope_sd"] ** 2 * fapar[0] * fapar[3] + said["offset_sd"] ** 2 + mixed * (fapar[0] + fapar[3])
    assert between == pytest.approx(brute[0, 3], abs=0.015 * np.sqrt(brute[0, 0] * brute[3, 3]))


def test_the_map_draws_the_error_of_the_line():
    """`draws.vegetation_error` reads what `relative` says: the spread of its draws is that of the line."""
    said = VegetationError(20.0, {ALL: CalibrationLineError(**LINE.relative())})
    draws = draw_vegetation_error("fapar", said, np.array(["2020-01-01"], "datetime64[D]"), 4000, seed=4)
    fapar = np.array([0.2, 0.5, 0.8], np.float32)
    drawn = np.asarray(draws.drawn("fapar", {"fapar": fapar, "fapar_sd": np.zeros(3, np.float32)}, 0, 0))
    index = (fapar - LINE.offset) / LINE.slope
    variance = LINE.offset_sd**2 + (LINE.slope_sd * index) ** 2 + 2 * LINE.correlation * LINE.offset_sd * LINE.slope_sd * index
    np.testing.assert_allclose(drawn.std(axis=0), np.sqrt(variance), rtol=0.05)


def test_fapar_itself_has_no_line_error():
    assert IDENTITY.relative() == {"offset_sd": 0.0, "slope_sd": 0.0, "correlation": 0.0}
    fapar, sd = IDENTITY.applied(np.array([0.98]), np.array([0.03]))
    assert (fapar[0], sd[0]) == (np.float32(0.98), np.float32(0.03))


def test_the_catalog_reads_a_line_and_refuses_an_unknown_key(tmp_path):
    (tmp_path / "satellite").mkdir()
    path = tmp_path / "satellite" / "x.toml"
    path.write_text(FILE)
    assert load_catalog(tmp_path)["x"].lines == {"ndvi": {"all": CalibrationLine(-0.1, 1.1)}}
    path.write_text(FILE + "slop_sd = 0.1\n")
    with pytest.raises(ValueError, match=r"satellite/x.toml: lines.ndvi.all.slop_sd: "):
        load_catalog(tmp_path)


@pytest.mark.parametrize("index", load_catalog()["modis-fpar-c5"].lines)
def test_shipped_lines_are_fitted_and_say_how_sure_they_are(index):
    line = load_catalog()["modis-fpar-c5"].lines[index][ALL]
    assert "e09_harmonisation" in line.source
    assert line.slope_sd > 0 and line.offset_sd > 0 and line.residual_sd > 0 and -1 < line.correlation < 0
