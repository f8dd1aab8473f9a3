"""Declarations, pixels and neighbours weighed: on every date of a real series, with and without its offset, and with what goes wrong."""

import json
import warnings
from functools import partial

import numpy as np
import pytest

from hybridflux.data.imagery import masks
from hybridflux.data.imagery.offset_evidence import FEWEST, SHIFT, Sample, difference, evidence, passed_on, sample_of
from hybridflux.data.imagery.offset_series import FIRM, Declared, Member, Series
from tests.data.imagery.stac_server import flanders

CUBE = Declared(0.0, "catalog", 1.5, {"catalog": 0.0}, 3.0)


@pytest.fixture(scope="module")
def dates(shared, catalog):
    """Day and sample of each date of Flanders with clear pixels, free of the offset."""
    mask, found = catalog["sentinel-2-l2a"].mask, []
    for index in range(118):
        labels = np.kron(flanders(shared, index, "SCL")[0].astype(int), np.ones((2, 2), int))
        red, nir = (flanders(shared, index, band)[0].astype(np.float32) for band in ("B04", "B08"))
        clear = masks.clear(mask, np.where(labels > 0, labels, -1), 10.0) & (red > 0)
        if clear.any():
            day = flanders(shared, index, "B04")[2].astype("datetime64[D]")
            found.append((day, sample_of(red * 1e-4, nir * 1e-4, clear, labels)))
    return found


def shifted(sample, added):
    return Sample(sample.red + added, sample.nir + added, sample.land, sample.water)


def judged(dates, declared, added):
    """Verdicts on a series of which `added(number)` was added to the reflectance of a date, and whether a warning came with each."""
    members = [
        Member(str(day), "31UES", day, declared(number), partial(shifted, sample, added(number)))
        for number, (day, sample) in enumerate(dates)
    ]
    series, out = Series(members), []
    for member in members[::-1]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            out.append((series.verdict(member), bool(caught)))
    return out[::-1]


HAZE = [np.datetime64("2018-06-13"), np.datetime64("2018-07-13")]
"""Dates on which the red of the greenest vegetation is 0.10 without offset, and all land brighter than a week before by 0.07."""


@pytest.mark.parametrize(
    ("declared", "added"),
    [
        (lambda number: CUBE, lambda number: 0.0),
        (lambda number: CUBE, lambda number: 0.1),
        (lambda number: CUBE, lambda number: 0.1 * (number >= 40)),
        (lambda number: Declared(SHIFT, "metadata", FIRM), lambda number: 0.1),
        (lambda number: Declared(0.0, "metadata", FIRM), lambda number: 0.0),
    ],
    ids=["cube without", "cube with", "cube across the change", "with, as metadata agree", "without, as metadata agree"],
)
def test_no_date_of_a_real_series_is_judged_wrongly(dates, declared, added):
    verdicts = judged(dates, declared, added)
    wrong = [number for number, (verdict, _) in enumerate(verdicts) if verdict.value != -added(number)]
    assert len(verdicts) == 76 and all(dates[number][0] in HAZE and verdicts[number][1] for number in wrong) and len(wrong) <= 1


@pytest.mark.parametrize(("value", "trust"), [(0.0, 1.6), (SHIFT, 0.3)])
def test_a_flag_that_errs_on_a_third_of_the_dates(dates, value, trust):
    """Dates with vegetation are judged rightly but for those in haze; of dates without, one that is judged wrongly is reported."""
    errs = [number % 3 == 0 for number in range(len(dates))]
    added = [-value if not wrong else 0.1 + value for wrong in errs]
    verdicts = judged(dates, lambda number: Declared(value, "flag", trust), lambda number: added[number])
    wrong = [number for number, (verdict, _) in enumerate(verdicts) if verdict.value != -added[number]]
    assert len(wrong) <= 7 and all(verdicts[number][1] for number in wrong if dates[number][0] not in HAZE)
    shown = [evidence(shifted(dates[number][1], added[number])).log_odds for number in wrong]
    assert all(abs(odds) < 1.5 for odds in shown), "no date that is clear by itself"


def test_metadata_that_err_on_all_dates_fall_by_vegetation_that_would_be_impossible(dates):
    verdicts = judged(dates, lambda number: Declared(SHIFT, "metadata", FIRM), lambda number: 0.0)
    right = [verdict.value == 0.0 for verdict, _ in verdicts]
    assert np.mean(right) > 0.85 and all(right or told for right, (_, told) in zip(right, verdicts, strict=True))


def test_the_order_of_reading_and_the_record(dates):
    part = dates[:30]
    errs = {number for number in range(30) if number % 3 == 0}
    members = [
        Member(str(day), "T", day, Declared(0.0, "flag", 1.6), partial(shifted, sample, 0.1 * (number in errs)))
        for number, (day, sample) in enumerate(part)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forth, back = Series(members), Series(members)
        first = [forth.verdict(member) for member in members]
        second = [back.verdict(member) for member in members[::-1]][::-1]
    assert first == second
    assert json.loads(json.dumps(first[0].record)) == first[0].record and {"declared", "pixels", "neighbours"} <= first[0].record.keys()


def flat(red, contrast, count=400):
    numbers = np.full(count, red, np.float32)
    return Sample(numbers, numbers + np.float32(contrast), np.ones(count, bool), np.zeros(count, bool))


def test_a_neighbour_that_cannot_be_read_is_left_out_and_only_its_own_reading_fails():
    def broken():
        raise OSError("band B08 cannot be read")

    days = [np.datetime64("2023-03-01") + 5 * number for number in range(3)]
    looks = [lambda: flat(0.04, 0.35), broken, lambda: flat(0.22, 0.09)]
    members = [Member(str(day), "T", day, Declared(0.0, "flag", 1.6), look) for day, look in zip(days, looks, strict=True)]
    series = Series(members)
    with pytest.warns(UserWarning, match="2023-03-11: flag gives an offset of .0.0, which its pixels do not confirm"):
        assert series.verdict(members[2]).value == 0.0
    with pytest.raises(OSError, match="B08 cannot be read"):
        series.verdict(members[1])


def test_witnesses_and_how_much_they_say():
    assert evidence(flat(0.04, 0.35)).log_odds > FIRM and evidence(flat(0.14, 0.35)).log_odds < -3.0
    assert evidence(flat(0.15, 0.23)).log_odds > -2.5, "ripe wheat"
    assert -2.0 <= evidence(flat(0.32, 0.09)).log_odds < -1.6 < 0 < evidence(flat(0.22, 0.09)).log_odds < 1.0, "bare land"
    assert evidence(flat(0.04, 0.35, FEWEST - 1)).pixel_kind == ""
    unscreened = Sample(*(getattr(flat(0.3, 0.3), name) for name in ("red", "nir", "land", "water")), screened=False)
    assert evidence(unscreened).log_odds == -1.0, "where no mask has taken clouds out, what is bright may be cloud"
    mostly_shadow = flat(0.14, 0.35)
    mostly_shadow.red[:180], mostly_shadow.nir[:180] = 0.004, 0.012
    assert evidence(mostly_shadow).log_odds < -3.0, "shadow is no vegetation"


def test_a_jump_of_a_tenth_passes_from_date_to_date_turned_round():
    dark, bright = flat(0.13, 0.08), flat(0.23, 0.08)
    assert difference(dark, bright) == pytest.approx(0.1) and difference(dark, flat(0.13, 0.3)) is None
    assert difference(dark, flat(0.45, 0.08)) is None, "flood or snow"
    assert passed_on(8.0, 0.0, 0.0) > 3.0 and passed_on(8.0, 0.1, 0.0) < -2.5 and passed_on(-8.0, -0.1, 0.0) > 2.5
    assert passed_on(8.0, None, 0.0) == 0.0 < passed_on(8.0, None, 3.0) < 3.1
