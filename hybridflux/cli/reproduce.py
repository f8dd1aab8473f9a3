"""The command that makes a product again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def reproduce(
    product: Annotated[Path, typer.Argument(exists=True, help="A posterior, region store, run folder, budget, scenario or map.")],
    check: Annotated[bool, typer.Option("--check", help="Make it again in a temporary folder and compare, bit for bit.")] = False,
) -> None:
    """Print the commands that made a product.

    Those of its inputs come first, each with its folder, version and commit; inputs that have changed since are named.
    """
    from hybridflux.products import reproduction as products

    for step in products.steps(product):
        typer.echo(step)
        for line in products.changed_inputs(step.record):
            typer.echo(f"# {line}")
    if check:
        typer.echo(products.check(product))
