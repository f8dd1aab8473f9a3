"""The card: what is counted over sites and what over periods, and that it keeps."""

import json

import numpy as np
import pandas as pd
import pytest

from hybridflux.evaluate.calibration import PIT
from hybridflux.evaluate.card import load_card, make_card, row_of, save_card
from hybridflux.evaluate.scores import COLUMNS


def row(site, model="hybrid", step="day", variable="NEE", igbp="ENF", n=100, nse=0.5, rmse=1.0, cover=0.9, **more):
    base = {"site": site, "igbp": igbp, "variable": variable, "known": False, "model": model, "step": step, "fold": 0}
    scores = {"n": n, "nse": nse, "r2": nse, "rmse": rmse, "bias": 0.1, "crps": rmse / 2}
    spread = {f"coverage{level}": cover for level in (50, 80, 90)} | dict(zip(PIT, [n / 10] * 10, strict=True))
    return {**dict.fromkeys(COLUMNS, np.nan), **base, **scores, **spread, **more}


@pytest.fixture
def scores():
    bare = {"coverage50": np.nan, "coverage80": np.nan, "coverage90": np.nan} | dict.fromkeys(PIT, np.nan)
    return pd.DataFrame(
        [
            row("A", nse=0.2, n=100, rmse=1.0, cover=1.0),
            row("B", nse=0.6, n=300, rmse=3.0, cover=0.8),
            row("C", nse=0.7, n=100, rmse=1.0, cover=0.8, igbp="CRO"),
            row("D", n=0, nse=np.nan, rmse=np.nan, cover=np.nan),
            row("A", model="LightGBM", nse=0.4, **bare),
            row("A", step="year", rmse=300.0, nse=np.nan),
        ]
    )


def test_medians_are_over_sites_and_the_rest_over_periods(scores):
    card = make_card(scores, title="Towers never seen")
    all_sites = row_of(card, "hybrid", "NEE")
    assert (all_sites["sites"], all_sites["n"], all_sites["nse"], all_sites["units"]) == (3, 500, 0.6, "gC m-2 d-1")
    assert all_sites["rmse_pooled"] == pytest.approx(np.sqrt((100 + 300 * 9 + 100) / 500))
    assert all_sites["crps_pooled"] == pytest.approx((0.5 * 200 + 1.5 * 300) / 500)
    assert all_sites["coverage90"] == pytest.approx((100 + 240 + 80) / 500)
    assert row_of(card, "hybrid", "NEE", igbp="CRO")["nse"] == 0.7 and row_of(card, "hybrid", "NEE", igbp="ENF")["sites"] == 2
    assert row_of(card, "hybrid", "NEE", table="pit")["counts"] == [50] * 10
    assert row_of(card, "LightGBM", "NEE")["coverage90"] is None and row_of(card, "LightGBM", "NEE", table="pit")["counts"] is None
    assert row_of(card, "hybrid", "NEE", "year")["nse"] is None and row_of(card, "hybrid", "GPP") is None
    assert (card["main"], card["models"], card["steps"]) == ("hybrid", ["hybrid", "LightGBM"], ["day", "year"])
    assert card["plant_types"] == ["CRO", "ENF"]


def test_card_keeps_as_json(scores, tmp_path):
    goal = {"kind": "goal", "name": "issue", "variable": "NEE", "step": "day", "score": "nse", "value": np.float32(0.5)}
    card = make_card(scores, title="Card", references=[goal], notes=["QC >= 0.75."], origin={"seed": np.int64(1), "config": {"a": (1, 2)}})
    path = save_card(card, tmp_path / "deep" / "card.json")
    assert load_card(path) == card
    assert card["origin"] == {"seed": 1, "config": {"a": [1, 2]}} and card["references"][0]["igbp"] == "all"
    (tmp_path / "other.json").write_text(json.dumps({"format": "else"}))
    with pytest.raises(ValueError, match="is not a card"):
        load_card(tmp_path / "other.json")


def test_several_splits_stay_apart(scores):
    both = pd.concat([scores.assign(split="unseen sites"), scores.assign(split="drought", nse=0.1)])
    card = make_card(both, title="Card")
    assert card["splits"] == ["unseen sites", "drought"]
    assert row_of(card, "hybrid", "NEE")["nse"] == 0.6 and row_of(card, "hybrid", "NEE", split="drought")["nse"] == pytest.approx(0.1)


def test_what_cannot_be_is_refused(scores):
    with pytest.raises(ValueError, match="scored twice.*hybrid, day, NEE, A"):
        make_card(pd.concat([scores, scores]), title="Card")
    with pytest.raises(ValueError, match="lack model"):
        make_card(scores.drop(columns="model"), title="Card")
    with pytest.raises(ValueError, match="no scores of `NN`"):
        make_card(scores, title="Card", main="NN")
    with pytest.raises(ValueError, match="lacks value"):
        make_card(scores, title="Card", references=[{"kind": "goal", "name": "x", "variable": "NEE", "step": "day", "score": "nse"}])
