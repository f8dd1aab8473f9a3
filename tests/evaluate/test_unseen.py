"""Leave-site-out scores: nobody is scored by a fit that has seen it, and an interrupted evaluation goes on."""

import numpy as np
import pandas as pd
import pytest

from hybridflux.evaluate.scores import evaluate, overview
from hybridflux.evaluate.unseen import _begin, clear_folds, evaluate_unseen
from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.model.learned import with_places


class Stub:
    """A method that remembers whom it was given and draws from the prior; stops at a fold if asked."""

    def __init__(self, stacked, stop=None):
        self.stacked, self.stop, self.given = stacked, (stop,), []

    def fit(self, model, sequences, *, seed, progress=None):
        if len(self.given) in self.stop:
            raise KeyboardInterrupt
        self.given.append(sequences.places)
        indices = Indices.of(sequences)
        return Posterior(self.stacked(with_places(model, indices.sizes()), 20, spread=0.3), indices)


@pytest.fixture
def model(posterior):
    from hybridflux.model.spec import from_spec, to_spec

    return from_spec(to_spec(posterior.model))


def test_every_site_is_scored_once_by_a_fit_without_it(toy, model, sequences):
    method = Stub(toy.stacked)
    table = evaluate_unseen(model, method, sequences, folds=4, step=("day", "week"), draws=20)
    assert not table.known.any() and not table.duplicated(["site", "variable", "step"]).any()
    assert sorted(table.site.unique()) == sorted(sequences.places) and len(method.given) == 4
    for site, fold in table.drop_duplicates("site")[["site", "fold"]].itertuples(index=False):
        assert site not in method.given[fold - 1]


def test_an_interrupted_evaluation_goes_on_and_gives_the_same(toy, model, sequences, tmp_path):
    whole = evaluate_unseen(model, Stub(toy.stacked), sequences, folds=4, draws=20)
    options = {"folds": 4, "draws": 20, "folder": tmp_path / "folds"}
    with pytest.raises(KeyboardInterrupt, match="2 of 4 folds are kept .* --resume"):
        evaluate_unseen(model, Stub(toy.stacked, stop=2), sequences, **options)
    with pytest.raises(FileExistsError, match="--resume"):
        evaluate_unseen(model, Stub(toy.stacked), sequences, **options)
    with pytest.raises(ValueError, match="seed differ"):
        evaluate_unseen(model, Stub(toy.stacked), sequences, **options, seed=1, resume=True)
    rest = Stub(toy.stacked)
    again = evaluate_unseen(model, rest, sequences, **options, resume=True)
    assert len(rest.given) == 2
    pd.testing.assert_frame_equal(again, whole)
    (tmp_path / "folds" / "mine.txt").write_text("mine")
    clear_folds(tmp_path / "folds")
    assert [path.name for path in (tmp_path / "folds").iterdir()] == ["mine.txt"]


def test_the_overview_keeps_known_and_unseen_sites_apart(posterior, sequences):
    table = evaluate(posterior, sequences, draws=60, step=("day", "year"))
    rows = overview(table).set_index(["flux", "step", "towers"])
    nee = table[(table.variable == "NEE") & (table.step == "day")]
    here = rows.loc["NEE", "day", "in the fit"]
    known = nee[nee.known]
    assert here.sites == 3 and here.n == known.n.sum() and here.units == "gC m-2 d-1"
    assert here.NSE == known.nse.median() and here.nNSE == pytest.approx(np.mean(1 / (2 - known.nse)))
    assert here.coverage90 == pytest.approx(np.average(known.coverage90, weights=known.n))
    assert rows.loc["NEE", "day", "unseen"].NSE == nee[~nee.known].nse.iloc[0]
    assert rows.loc["NEE", "year", "unseen"].sites == 0  # 243 observed days of a year are too few


def test_folds_of_somebody_else_are_neither_read_nor_removed(tmp_path):
    (tmp_path / "fold_001.csv").write_text("mine")
    with pytest.raises(FileExistsError, match="fold_001.csv, which no evaluation wrote"):
        _begin(tmp_path, {}, resume=True)
    assert (tmp_path / "fold_001.csv").read_text() == "mine"
