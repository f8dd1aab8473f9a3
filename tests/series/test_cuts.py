"""Mowing, harvest and felling are found in series whose events are known, with probabilities that hold."""

import numpy as np
import pytest

from hybridflux.series import CutModel, FellingModel, SeriesProcess, crops_grown, find_cuts, find_fellings, winter_cover

MODEL = CutModel()
DAYS, PIXELS = 365, 400
PROCESS = SeriesProcess(season=(0.75, -0.1, 0.0), fast_sd=0.04, fast_days=30.0, slow_sd=0.03, slow_days=1000.0, view_sd=0.03)


@pytest.fixture(scope="module")
def mown():
    """Grass that grows, is cut at known days and grows again, seen about every ten days through noise and thin clouds `[day, pixel]`."""
    rng = np.random.default_rng(3)
    level = np.full((DAYS, PIXELS), 0.9)
    cuts = rng.random((DAYS, PIXELS)) < MODEL.rate / (MODEL.season[1] - MODEL.season[0])
    cuts[: MODEL.season[0]] = cuts[MODEL.season[1] :] = False
    for pixel in range(PIXELS):
        last = -99
        for day in np.flatnonzero(cuts[:, pixel]):
            if day - last < 25:
                cuts[day, pixel] = False
                continue
            last, fall = day, max(rng.normal(MODEL.fall, MODEL.fall_sd), 0.0)
            grown = np.minimum(max(rng.normal(MODEL.regrowth, MODEL.regrowth_sd), 0.0) * np.arange(DAYS - day), fall)
            level[day:, pixel] = level[day - 1, pixel] - fall + grown
    walk = np.cumsum(MODEL.change_sd * rng.standard_normal(level.shape), 0)
    signal = level + walk - 0.98 * np.concatenate([np.zeros((5, PIXELS)), walk[:-5]])
    seen = signal + MODEL.view_sd * rng.standard_normal(level.shape)
    dimmed = rng.random(level.shape) < MODEL.dim_share
    seen -= dimmed * np.maximum(rng.normal(MODEL.dim, MODEL.dim_sd, level.shape), 0.0)
    when = np.arange(2, DAYS, 5)
    values = MODEL.span * seen[when]
    values[rng.random(values.shape) < 0.45] = np.nan
    return cuts, values, when


def hits(found, cuts, which):
    """Whether a true cut lies within the least distance of each chosen one, and by how many days the chosen one is late."""
    view, pixel = np.nonzero(which)
    late = np.full(len(view), np.inf)
    for number, (row, column) in enumerate(zip(view, pixel, strict=True)):
        days = np.flatnonzero(cuts[:, column])
        if len(days):
            apart = found.day[row, column] - days
            late[number] = apart[np.abs(apart).argmin()]
    return np.abs(late) < MODEL.least_days, late


def test_cuts_are_found_on_their_days_and_beat_the_first_low_view(mown):
    cuts, values, when = mown
    found = find_cuts(values, when)
    true, late = hits(found, cuts, found.probability > 0.5)
    assert true.mean() > 0.85 and true.sum() / cuts.sum() > 0.6
    assert abs(late[true].mean()) < 0.7  # a midpoint, not the first low view, is not late
    first_low = when[np.nonzero(found.probability > 0.5)[0]] - found.day[found.probability > 0.5]
    assert first_low[true].mean() > 3.0
    within = np.abs(late[true]) < 2 * found.sd[found.probability > 0.5][true]
    assert within.mean() > 0.85


def test_probabilities_hold_what_they_say(mown):
    cuts, values, when = mown
    found = find_cuts(values, when)
    for low, high in ((0.1, 0.3), (0.3, 0.6), (0.6, 0.85), (0.85, 1.0)):
        chosen = (found.probability > low) & (found.probability <= high)
        _, late = hits(found, cuts, chosen)
        true = np.abs(late) < 2.5 * found.sd[chosen]  # nearer than by chance: a cut is due every 50 days
        assert chosen.sum() > 30
        assert true.mean() == pytest.approx(found.probability[chosen].mean(), abs=0.13), (low, high)


def test_pixels_do_not_see_each_other_and_a_missing_view_is_no_view(mown):
    _, values, when = mown
    whole, alone = find_cuts(values[:, :9], when), find_cuts(values[:, 4:5], when)
    np.testing.assert_allclose(whole.probability[:, 4:5], alone.probability, atol=1e-12)
    shown = np.isfinite(values[:, 4])
    compressed = find_cuts(values[shown, 4:5], when[shown])
    np.testing.assert_allclose(alone.probability[shown], compressed.probability, atol=1e-12)
    assert (whole.probability[~np.isfinite(values[:, :9])] == 0).all()


def test_units_do_not_matter(mown):
    _, values, when = mown
    scaled = find_cuts(values[:, :9] * 100, when, model=CutModel(span=95.0))
    np.testing.assert_allclose(scaled.probability, find_cuts(values[:, :9], when).probability, atol=1e-9)


@pytest.mark.parametrize("kind", ["one cloud", "senescence", "winter", "nothing"])
def test_what_is_no_cut_is_none(kind):
    when = np.arange(0, 365, 5)
    values = np.full((len(when), 1), 0.85)
    if kind == "one cloud":
        values[30] -= 0.3
    elif kind == "senescence":
        values[:, 0] -= 0.004 * np.clip(when - 180, 0, 120)
    elif kind == "winter":
        values[when < 40] = 0.4
        values[when > 340] = 0.4
    assert find_cuts(values, when).probability.max() < 0.5


def test_no_views_give_no_cut():
    found = find_cuts(np.full((4, 2), np.nan), np.arange(0, 20, 5))
    assert (found.probability == 0).all()


def test_a_felling_is_found_and_a_cut_that_grows_again_is_none():
    rng = np.random.default_rng(5)
    when = np.arange(0, 1500, 12)
    x = np.sqrt(3.0) * np.abs(when[:, None] - when) / PROCESS.fast_days
    fast = PROCESS.fast_sd**2 * (1 + x) * np.exp(-x) + PROCESS.slow_sd**2 * np.exp(-np.abs(when[:, None] - when) / PROCESS.slow_days)
    angle = 2 * np.pi * when / 365.2425
    root = np.linalg.cholesky(fast + PROCESS.view_sd**2 * np.eye(len(when)))
    values = (0.75 - 0.1 * np.cos(angle))[:, None] + root @ rng.standard_normal((len(when), 60))
    values[rng.random(values.shape) < 0.3] = np.nan
    values[when > 800, :20] -= 0.35 * np.exp(-(when[when > 800, None] - 800) / 1000)
    values[(when > 800) & (when < 840), 20:40] -= 0.3
    found = find_fellings(values, when, process=PROCESS, model=FellingModel())
    assert (found.probability[:20] > 0.5).mean() > 0.9 and (found.probability[20:] < 0.5).mean() > 0.95
    assert np.median(np.abs(found.day[:20] - 800)) < 20
    assert np.median(found.fall[:20]) == pytest.approx(0.35, abs=0.06)


def test_winter_cover_and_crops():
    day = np.arange(730)
    summer = 0.15 + 0.7 * np.exp(-0.5 * ((day % 365 - 180) / 30) ** 2)
    both = summer + 0.6 * np.exp(-0.5 * ((day % 365 - 300) / 20) ** 2)
    noisy = 0.5 + 0.05 * np.sin(day / 3.0)
    mean, sd = np.stack([summer, both, noisy], 1), np.full((730, 3), 0.03)
    grown = crops_grown(mean, sd)
    assert grown.sum(0).tolist() == [2, 4, 0] and grown[:365].sum(0).tolist() == [1, 2, 0]
    cover = winter_cover(mean, sd, (day % 365 < 59) | (day % 365 > 304))
    assert cover[0] < 0.02 < cover[1] < 0.5 and cover[2] == pytest.approx(1.0)
    assert winter_cover(np.full((4, 1), 0.3), np.ones((4, 1)), np.ones(4, bool))[0] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="no day of winter"):
        winter_cover(mean, sd, np.zeros(730, bool))
