"""Commands at towers: fit, predict, evaluate, responses."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridflux.cli.options import NoScreen, Overwrite, PosteriorFile, Resume, Seed, Sites, Towers, With, Years
from hybridflux.files import OF_THE_DISK, check_output
from hybridflux.terminal import prediction_text, progress_of, scores_text, wrote

if TYPE_CHECKING:
    from hybridflux.inference.methods.base import AbstractMethod

Settings = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the method, repeatable: --set members=16; a wrong name lists them.")
]
Method = Annotated[
    str,
    typer.Option(
        "--method",
        help="How to fit: map, ensemble, randomised, laplace, svi, nuts, one that is installed, or MODULE:CLASS; a wrong name lists them.",
    ),
]
ROOM = 16 << 20
"""Bytes of a large posterior: what must be free before a fit begins."""


def fit(
    towers: Towers,
    out: Annotated[Path, typer.Option(help="Posterior file to write (netCDF).")],
    sites: Sites = None,
    years: Annotated[str | None, typer.Option(help="First and last year: 2001:2010")] = None,
    no_screen: NoScreen = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="hybrid_water (the default for map, ensemble where the towers folder has reflectance), hybrid (where it has "
            "none), hybrid_nirv, hybrid_signed (hybrid_water whose GPP never gains from drought), "
            "stacked (draws of hybrid_water and of networks without physics), network (these alone), "
            "static (for laplace, svi, nuts), or "
            "a file: .json is a specification and runs nothing, .py is run as Python, so name only one you trust."
        ),
    ] = None,
    method: Method = "ensemble",
    settings: Settings = None,
    beside: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Towers folder of other regions, to which the networks of --model stacked are fitted too."
        ),
    ] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    own: With = None,
) -> None:
    """Fit a model to towers, write its posterior and print a summary.

    The table names the sites and days that were used, how far the towers moved each parameter from its prior, and concerns about the fit.
    """
    check_output(out, overwrite=overwrite, room=ROOM)
    from hybridflux.data.towers import SCREEN, open_towers
    from hybridflux.inference import method_of
    from hybridflux.inference.summary import lines
    from hybridflux.model import compositions
    from hybridflux.model.spec import to_spec
    from hybridflux.model.stacked import NETWORK, Stacked

    chosen = method_of(method, settings or ())
    fitted = compositions.get(model or _composition(chosen, towers))
    to_spec(fitted)  # a model that cannot be saved is refused here
    if beside is not None and not isinstance(fitted, Stacked):
        raise ValueError("--beside is for networks: only those of --model stacked learn from towers of other regions")
    needs, targets, screen = fitted.needs_at_towers(), fitted.targets(), None if no_screen else SCREEN
    sequences = open_towers(towers, sites=sites, years=years, screen=screen, needs=needs, targets=targets).sequences(needs)
    options: dict = {}
    if beside is not None and isinstance(fitted, Stacked):
        of_networks = fitted.kinds()[NETWORK]
        there = open_towers(beside, years=years, screen=screen, needs=of_networks.needs_at_towers(), targets=of_networks.targets())
        options["beside"] = there.sequences(of_networks.needs_at_towers())
    with progress_of("fitting") as progress:
        posterior = chosen.fit(fitted, sequences, seed=seed, progress=progress, **options)
    _save(posterior, out)
    typer.echo("\n".join(lines(posterior, file=out, towers=towers)))
    wrote(out)


def _composition(method: AbstractMethod, towers: Path) -> str:
    """The model of a method where none is named: with networks, the one that reads the reflectance of these towers if they have any."""
    from hybridflux.data.reflectance import FOLDER

    name = method.composition
    if name == "hybrid" and any((towers / FOLDER).glob("*.csv*")):
        name = "hybrid_water"
    typer.echo(f"model: {name} (--model names another)")
    return name


def _save(posterior, out: Path) -> None:
    """Save a posterior; if the disk is full by then, among the temporary files, so that the fit is not lost.

    Raises:
        OSError: names the full disk, and the path of the posterior.
    """
    try:
        posterior.save(out)
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        spare = Path(tempfile.gettempdir()) / f"{out.stem}-{secrets.token_hex(4)}{out.suffix}"
        posterior.save(spare)
        raise OSError(error.errno, f"{error.strerror}; the posterior was written to {spare} instead: move it", str(out)) from error


def predict(
    posterior: PosteriorFile,
    towers: Towers,
    out: Annotated[Path, typer.Option(help="Table to write: a row for each site, period and flux.")],
    sites: Sites = None,
    years: Years = None,
    step: Annotated[str, typer.Option(help="Periods: day,month,year; one or several. Years are sums.")] = "day",
    residuals: Annotated[
        str,
        typer.Option(help="all-months: sites of the fit know their residuals, so that a year is its measured days, filled by the model; "
            "other-months: those of months outside of the prediction; else unused."),
    ] = "unused",
    draws: Annotated[int, typer.Option(min=20, help="Predictive draws of each site.")] = 100,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    own: With = None,
) -> None:
    """Predict NEE, GPP and RECO of towers, or of any place with such files, with 90 % intervals.

    Each draw is summed over a period before its quantiles are taken. A site that the fit has not seen is predicted as unseen; its files may
    hold weather alone (TA_F, SW_IN_F, VPD_F, P_F), without fluxes.
    """
    check_output(out, overwrite=overwrite)
    steps = _periods(step, residuals)

    from hybridflux.data.towers import open_towers
    from hybridflux.evaluate.predicted_periods import predicted_periods
    from hybridflux.inference.posterior import Posterior
    from hybridflux.products.sheet import write_table
    from hybridflux.provenance import provenance
    from hybridflux.vocabulary import SIGN

    loaded = Posterior.load(posterior)
    needs = loaded.model.needs_at_towers()
    places = open_towers(towers, sites=sites, years=years, screen=None, needs=needs, measured=False)
    with progress_of("predicting") as progress:
        table = predicted_periods(loaded, places, step=steps, draws=draws, seed=seed, residuals=residuals, progress=progress)
    of = {"posterior": posterior, "towers": towers, "sites": sites, "years": years, "step": step, "draws": draws, "residuals": residuals}
    write_table(table, out, {"provenance": provenance(of, seed), "spread": "predictive", "sign": SIGN}, float_format="%.6g")
    typer.echo(prediction_text(table))
    wrote(out)


def _periods(step: str, residuals: str) -> tuple[str, ...]:
    """Names of periods, after what is asked of residuals was understood too.

    Raises:
        ValueError: one of both is not understood.
    """
    from hybridflux.evaluate.predicted_periods import PERIODS
    from hybridflux.evaluate.steps import steps_named
    from hybridflux.inference.conditioned_error import MONTHS

    if residuals not in MONTHS:
        raise ValueError(f"--residuals {residuals} is not understood; there are {', '.join(MONTHS)}")
    return steps_named(step, PERIODS)


def evaluate(
    towers: Towers,
    out: Annotated[Path, typer.Option(help="Table to write: one row per site, flux and step.")],
    posterior: Annotated[Path | None, typer.Option(exists=True, help="File written by `hybridflux fit`; or --leave-site-out.")] = None,
    sites: Sites = None,
    years: Years = None,
    no_screen: NoScreen = False,
    step: Annotated[
        str, typer.Option(help="Time steps: day,week,month,year,anomaly,iav,driest,hottest,drought; one or several.")
    ] = "day",
    leave_site_out: Annotated[
        int | None, typer.Option(min=2, help="Without --posterior: refit this many times, each time without a fold of whole sites.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Of --leave-site-out: as `hybridflux fit --model`.")] = None,
    method: Method = "ensemble",
    settings: Settings = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Of --leave-site-out: what is scored beside the model: climatology,lightgbm ... or MODULE:CLASS. Trees read the "
            "satellites that it reads."),
    ] = None,
    residuals: Annotated[
        str,
        typer.Option(help="Of --posterior: other-months, where sites of the fit are to know their residuals in months that are not scored; "
            "else unused."),
    ] = "unused",
    seed: Seed = 0,
    resume: Resume = False,
    overwrite: Overwrite = False,
    own: With = None,
) -> None:
    """Score a posterior, or a model refitted without the sites scored.

    A site that the fit has not seen is predicted as unseen. Prints medians over sites, writes one row per site, flux and step.
    """
    if (posterior is None) == (leave_site_out is None):
        raise ValueError("name either --posterior FILE, or --leave-site-out 10 to refit without the sites that are scored")
    if posterior and (model or resume or baseline):
        raise ValueError("--model, --baseline and --resume belong to --leave-site-out: a posterior has its model and is scored at once")
    if posterior and (settings or method != "ensemble"):
        raise ValueError("--method and --set belong to --leave-site-out: a posterior is fitted already, and is scored as it is")
    if leave_site_out and residuals != "unused":
        raise ValueError("--residuals belongs to --posterior: a site that a fit left out has none")
    check_output(out, overwrite=overwrite)

    from hybridflux.data.towers import SCREEN, open_towers
    from hybridflux.evaluate.baselines import baseline_of
    from hybridflux.evaluate.scores import evaluate as score
    from hybridflux.evaluate.scores import needed, overview
    from hybridflux.evaluate.steps import steps_named
    from hybridflux.evaluate.unseen import clear_folds, evaluate_unseen
    from hybridflux.inference import method_of
    from hybridflux.inference.posterior import Posterior
    from hybridflux.model import compositions
    from hybridflux.products.sheet import write_table
    from hybridflux.provenance import provenance

    steps, kept, screen = steps_named(step), out.with_name(f"{out.name}.folds"), None if no_screen else SCREEN
    if posterior:
        loaded = Posterior.load(posterior)
        measured = open_towers(towers, sites=sites, years=years, screen=screen, needs=needed(loaded.model, steps))
        table = score(loaded, measured, step=steps, seed=seed, residuals=residuals)
    else:
        how = method_of(method, settings or ())
        fitted = compositions.get(model or _composition(how, towers))
        rivals = {name: baseline_of(name, fitted.needs()) for name in baseline.split(",")} if baseline else {}
        needs = {*needed(fitted, steps), *(name for one in rivals.values() for name in one.needs)}
        measured = open_towers(towers, sites=sites, years=years, screen=screen, needs=needs, targets=fitted.targets())
        with progress_of("fitting") as progress:
            options = {"folds": leave_site_out, "baselines": rivals, "step": steps, "seed": seed, "folder": kept, "resume": resume}
            table = evaluate_unseen(fitted, how, measured, **options, progress=progress)
    of = {"posterior": posterior, "towers": towers, "sites": sites, "years": years, "step": step, "folds": leave_site_out, "model": model}
    of |= ({"baseline": baseline} if baseline else {}) | ({"residuals": residuals} if residuals != "unused" else {})
    write_table(table, out, {"provenance": provenance(of, seed)})
    typer.echo(scores_text(overview(table)))
    wrote(out)
    if leave_site_out:
        clear_folds(kept)


def responses(
    posterior: Annotated[Path, typer.Option(exists=True, help="File written by `hybridflux fit`.")],
    towers: Towers,
    out: Annotated[Path, typer.Option(help="Table to write: a row for each point of a curve, with its 90 % band.")],
    sites: Sites = None,
    years: Years = None,
    no_screen: NoScreen = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    own: With = None,
) -> None:
    """Responses of GPP and RECO to light, temperature, VPD, soil water, LSWI and greenness.

    By plant type, over the growing season, on dry and hot days and on wet and cool ones. Prints responses whose sign contradicts physics,
    with the probability of that.
    """
    check_output(out, overwrite=overwrite)

    from hybridflux.data.towers import SCREEN, open_towers
    from hybridflux.evaluate.responses import responses as curves_of
    from hybridflux.evaluate.responses import table_of
    from hybridflux.evaluate.signs import contradictions, sentences
    from hybridflux.inference.posterior import Posterior
    from hybridflux.products.sheet import write_table
    from hybridflux.provenance import provenance

    loaded = Posterior.load(posterior)
    needs = loaded.model.needs_at_towers()
    measured = open_towers(towers, sites=sites, years=years, screen=None if no_screen else SCREEN, needs=needs)
    curves = list(curves_of(loaded, measured.sequences(needs), seed=seed))
    if not curves:
        raise ValueError("no NEE was measured in a growing season of these towers; check sites and years")
    of = {"posterior": posterior, "towers": towers, "sites": sites, "years": years}
    write_table(table_of(curves), out, {"provenance": provenance(of, seed)})
    found = contradictions(curves)
    flagged = sentences(found)
    typer.echo("\n".join(flagged or [f"none of {len(found)} responses whose sign is known contradicts it"]))
    wrote(out)
