import numpy as np
import pandas as pd
import pytest

from hybridflux.products.assimilation import assimilate_totals
from hybridflux.products.assimilation_table import table_of
from hybridflux.products.budget import budget_of
from hybridflux.products.inventory import Entry
from hybridflux.products.totals import RunTotals
from hybridflux.report.assimilation_section import assimilation_section
from hybridflux.report.budget_tables import budget_section, closure_section, main_period, with_truth
from hybridflux.report.years_section import years_section


def totals(years=(2018,), nee=-100.0, draws=21):
    """One zone of 1 km2 of crops; every draw is off by the same share."""
    months = pd.date_range(f"{years[0]}-01-01", f"{years[-1]}-12-31", freq="MS")
    share = np.linspace(0.5, 1.5, draws) if draws > 1 else np.ones(1)
    flux = {name: value * months.days_in_month.values[None, :, None] / 365 * 1e6 * share for name, value in
            (("NEE", nee), ("GPP", 900.0), ("RECO", 900.0 + nee))}  # fmt: skip
    names = np.array(["north"], object), np.array(["CRO"], object)
    return RunTotals(flux, *names, np.array([1e6]), months, months.days_in_month.values, "parameter")


def test_truth_is_inside_or_not():
    budget = budget_of(totals())
    near, far = (with_truth(budget, budget_of(totals(nee=value, draws=1))) for value in (-110.0, -400.0))
    assert near.loc[near["variable"] == "NEE", "inside"].all()
    assert not far.loc[far["variable"] == "NEE", "inside"].any()


def test_one_draw_shows_no_interval():
    text = budget_section(with_truth(budget_of(totals(draws=1)), budget_of(totals(draws=1))))
    assert "nan" not in text.split("budget.csv")[0]
    assert 'class="yes"' not in text and 'class="no"' not in text


def test_several_years_show_their_anomalies():
    budget = budget_of(totals(years=(2017, 2018, 2019)))
    assert main_period(budget) == "mean of 2017-2019"
    known = with_truth(budget, budget_of(totals(years=(2017, 2018, 2019), nee=-110.0, draws=1)))
    text = years_section(known)
    assert "Year by year" in text and all(f">{year}<" in text for year in (2017, 2018, 2019)) and "nan" not in text
    assert "Decided anomalies" in text and "mean of 2017\u20112019" in text
    assert years_section(budget_of(totals())) == ""


def test_the_table_of_places_does_not_grow_with_the_years(monkeypatch):
    monkeypatch.setattr("hybridflux.report.years_section.COLUMNS", 2)
    text = years_section(budget_of(totals(years=(2016, 2017, 2018, 2019))))
    head = text[text.index("by land cover and zone") :].split("</thead>")[0]
    assert "2018" in head and "2019" in head and "2017" not in head and "The latest 2 of 4 years" in text


def test_the_section_of_an_inventory_shows_before_and_after():
    entries = [Entry("north", "CRO", (2018, 2018), {"biomass": (75.0, 9.0), "soil": (10.0, 9.0), "export": (60.0, 20.0)})]
    entries += [Entry("north", "all", (2010, 2012), dict(entries[0].pools))]
    entries[0].carried["export"] = (60.0, 20.0)
    found = table_of(assimilate_totals(totals(), entries))
    text = assimilation_section(found)
    row = found[found["variable"] == "NBP"].iloc[0]
    assert f"{row['mean']:.0f} ± {row['sd']:.0f}" in text and "85 ± 13" in text and "nan" not in text
    assert f"{row['prior_mean']:.0f} ± {row['prior_sd']:.0f}" in text and row["prior_mean"] == pytest.approx(40)
    assert "all other tables of this page are prior" in text and "What it would take" in text
    assert "Of 1 place 0 agree, 0 disagree, 1 undecidable" in text and '<span class="badge undecidable">' in text


@pytest.mark.parametrize("zone", ["region", "north"])
def test_verdicts_and_their_reasons(zone):
    row = {
        "zone": zone, "land_cover": "CRO", "period": "2018", "variable": "NBP", "mean": -200.0, "sd": 30.0,
        "export": 300.0, "export_sd": 10.0,
        "stock_change": -190.0, "stock_change_sd": 20.0, "difference": -10.0, "difference_sd": 36.0, "z": -0.3, "verdict": "undecidable",
        "limiting_term": "flux", "note": "a gap of 50 gC m-2 yr-1 would not be detected",
    }  # fmt: skip
    text = closure_section(pd.DataFrame([row]))
    assert '<span class="badge undecidable">' in text
    assert "a gap of 50 gC\u202fm<sup>−2</sup>" in text
    assert ("<details open>" in text) == (zone == "north")
