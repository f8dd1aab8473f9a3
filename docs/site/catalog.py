"""The pages of the data catalog, read from `data_catalog`."""

from __future__ import annotations

import tomllib

from docs.site.words import linked, plain, table
from hybridflux.data.catalog import REGIONS, Dataset, catalog_folder, load_catalog

KINDS = {"towers": "Towers", "satellite": "Satellites", "meteo": "Weather", "soil": "Soil and soil moisture", "terrain": "Terrain",
         "landcover": "Land cover", "inventories": "Inventories"}  # fmt: skip


def pages() -> dict[str, str]:
    """The page of datasets and that of regions."""
    return {"reference/catalog.md": _datasets(), "reference/regions.md": _regions()}


def _datasets() -> str:
    datasets = load_catalog()
    parts = [
        "# Data catalog",
        "Every dataset that hybridflux reads, as `hybridflux catalog` lists them: licence, how to obtain it, what to cite and "
        "which credit a product "
        "must carry. Nothing is shipped. A dataset of your own is [one file](../howto/add.md#a-satellite-or-another-dataset).",
    ]
    for kind, heading in KINDS.items():
        of_kind = [one for one in datasets.values() if one.kind == kind]
        parts.append(f"## {heading}")
        parts.append(table(["dataset", "licence"], [(f"[{plain(one.title)}](#{one.id})", plain(one.licence)) for one in of_kind]))
        for one in of_kind:
            parts += _dataset(one)
    return "\n\n".join(parts) + "\n"


def _dataset(one: Dataset) -> list[str]:
    facts = {
        "Obtain it": linked(plain(one.access)), "Cite": linked(plain(one.citation)), "DOI": linked(one.doi) if one.doi else "",
        "Credit of products": plain(one.attribution or ""), "Files": ", ".join(f"`{name}`" for name in one.files),
        "Services": ", ".join(plain(service.name) for service in one.services), "Reader": f"`{one.format}`" if one.format else "",
        "Note": linked(plain(one.note or "")),
    }  # fmt: skip
    lines = [f"**{name}:** {value}" for name, value in facts.items() if value]
    head = [f"### {plain(one.title)} {{ #{one.id} }}", "  \n".join([f"`{one.id}`, {plain(one.licence)}", *lines])]
    if not one.bands:
        return head
    rows = [
        (f"`{band.name}`", f"`{band.variable}`" if band.variable else "", plain(band.units), f"{band.scale:g}", f"{band.offset:g}",
         "" if band.nodata is None else f"{band.nodata:g}", plain(band.note or ""))
        for band in one.bands
    ]  # fmt: skip
    bands = table(["column or band", "variable", "unit", "scale", "offset", "missing", "note"], rows)
    return [*head, f'??? note "Its {len(rows)} columns or bands"\n\n' + "\n".join(f"    {line}" for line in bands.splitlines())]


def _regions() -> str:
    parts = [
        "# Regions of the catalog",
        "Configurations that `hybridflux region build ID` takes, and examples of everything that a configuration of your own may "
        "say. Three of them "
        "were built and [looked at](../regions.md).",
    ]
    for path in sorted((catalog_folder() / REGIONS).glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        title = tomllib.loads(text).get("title", path.stem)
        command = f"`hybridflux region build {path.stem} --out {path.stem}.zarr --data FOLDER`"
        parts += [f"## {plain(str(title))} {{ #{path.stem} }}", command, f"```toml\n{text}\n```"]
    return "\n\n".join(parts) + "\n"
