"""The generated pages of the site hold what is in the code, and links of documents lead somewhere. `make docs` builds the whole site."""

import doctest
import os
import re
from functools import cache

import numpy as np
import pytest

import hybridflux
from docs.site import api, atlas, bibliography, catalog, commands, errors, parameters, stage, tutorials, words
from hybridflux import process
from hybridflux.cli import app, export_app, region_app
from hybridflux.data.catalog import load_catalog
from hybridflux.model.sources import to_raw, to_value
from hybridflux.process.call import arguments
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES, VARIABLES

ROOT = stage.ROOT
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for folder in stage.FOLDERS for path in (ROOT / folder).rglob("*.md"))


@cache
def texts() -> dict[str, str]:
    """Page -> text of all generated pages."""
    written = {"commands": commands.page, "errors": errors.page, "limits": errors.limits_page, "bibliography": bibliography.page}
    of_rows = parameters.pages(atlas.functions())
    single = {f"reference/{name}.md": page() for name, page in written.items()}
    return {**atlas.pages(), **of_rows, **api.pages(), **catalog.pages(), **single}


@pytest.mark.parametrize("module", [errors, parameters, stage, words], ids=lambda module: module.__name__)
def test_examples(module):
    assert doctest.testmod(module).failed == 0


def test_the_atlas_has_every_process_function():
    rooms = {name for name in process.__all__ if hasattr(getattr(process, name), "__file__")} - {"declare"}
    assert rooms == set(atlas.functions())
    for room, functions in atlas.functions().items():
        page = texts()[f"reference/atlas/{room}.md"]
        assert functions
        for fn in functions:
            section = page.split(f"{{ #{fn.__name__} }}")[1].split("\n## ")[0]
            assert all(f"`{name}`" in section for name in arguments(fn)), fn
            assert (f"{room}.{fn.__name__}.svg" in section) == atlas.is_drawn(fn)
        assert all(f"{{ #{name} }}" in page for name in atlas.memories(getattr(process, room)))


@pytest.mark.parametrize("row", PARAMETERS.values(), ids=lambda row: row.name)
def test_the_table_of_parameters_is_that_of_the_declarations(row):
    section = texts()["reference/parameters.md"].split(f"{{ #{row.name} }}")[1].split("\n## ")[0]
    assert f"Typical {row.typical:g}, bounds {row.lower:g} to {row.upper:g}" in section and words.plain(row.meaning) in section
    raw = to_raw(row.typical, row) + row.prior_sd * np.random.default_rng(0).standard_normal(20000)
    drawn = np.quantile(np.asarray(to_value(raw, row)), parameters.QUANTILES)
    expected = [parameters.prior_quantile(row, share) for share in parameters.QUANTILES]
    np.testing.assert_allclose(expected, drawn, atol=0.02 * (row.upper - row.lower), rtol=0.05)


def test_variables_plant_types_datasets_and_limits_are_all_there():
    variables, datasets = texts()["reference/variables.md"], texts()["reference/catalog.md"]
    assert all(f"| `{name}` |" in variables for name in VARIABLES) and all(f"| {code} |" in variables for code in PLANT_TYPES)
    assert all(f"{{ #{name} }}" in datasets for name in load_catalog())
    assert "HYBRIDFLUX_LIMIT_DRAWN" in texts()["reference/limits.md"]


def test_the_command_line_has_every_command_and_option():
    page = texts()["reference/commands.md"]
    groups = {"": app, "region ": region_app, "export ": export_app}
    for before, group in groups.items():
        for command in group.registered_commands:
            name = before + (command.name or command.callback.__name__.replace('_', '-'))
            assert f"\n## {name} {{" in page
            section = page.split(f"\n## {name} {{")[1].split("\n## ")[0]
            asked = set(command.callback.__annotations__) - {"return", "ctx", "own", "settings"}
            said = {f"--{one.replace('_', '-')}" in section or f"`{one.upper()}`" in section for one in asked}
            assert said <= {True}, name


def test_every_public_name_has_a_page():
    assert set(api.public_names()) == set(hybridflux.__all__) - {"__version__"}
    assert all(f"::: {path}" in texts()[f"reference/api/{name}.md"] for name, path in api.public_names().items())


def test_messages_are_found_with_what_they_fill_in():
    found = errors.messages()
    assert len(found) > 500
    assert any(one.module == "model.flux" and "is neither a variable nor a parameter" in one.text for one in found)
    assert any(one.kind == "warning" for one in found) and "`Refused`" in texts()["reference/errors.md"]


def test_the_bibliography_knows_who_is_cited():
    known = bibliography.references()
    assert known["10.2307/2401901"][0] == "Monteith 1972" and "hybridflux/process/light.py" in known["10.2307/2401901"][1]
    assert "10.1016/S0304-3800(98)00205-1" in known


@pytest.mark.parametrize("source", DOCUMENTS)
def test_links_of_a_document_lead_somewhere(source):
    linked: list[str] = []
    stage.relinked((ROOT / source).read_text(encoding="utf-8"), source, stage.place_of(source), linked.append)
    assert not [path for path in linked if not (ROOT / path).exists() and path.removeprefix("docs/") not in texts()]


def test_every_tutorial_is_in_the_menu_and_its_links_lead_somewhere():
    menu, index = (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), (ROOT / "docs/tutorials/index.md").read_text(encoding="utf-8")
    for source in tutorials.sources():
        assert f"tutorials/{source.stem}.md" in menu and f"({source.name})" in index
        text = re.sub(r"^# ?", "", source.read_text(encoding="utf-8"), flags=re.M)
        for target in re.findall(r"\]\(([^)\s#]+)", text):
            there = os.path.normpath(source.parent / target)
            written = re.search(rf"--(?:out|figure) {re.escape(target)}", text)
            generated = os.path.relpath(there, ROOT / "docs") in texts()
            assert os.path.exists(there) or written or generated or target.startswith("http"), target


def test_a_page_is_made_of_a_notebook(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    make = nbformat.v4
    cell = make.new_code_cell("%%bash\nls", outputs=[make.new_output("stream", name="stdout", text="a.csv\n")])
    book = make.new_notebook(cells=[make.new_markdown_cell("# One\n[page](report.html)"), cell])
    (tmp_path / "report.html").write_text("<p>")
    text, beside = tutorials.Tutorial("one", book, tmp_path, 3.0).page()
    assert "[page](one_report.html)" in text and beside == {"one_report.html": b"<p>"}
    assert "```bash\nls\n```" in text and "a.csv" in text and "3 s" in text


def test_a_picture_shows_the_response():
    picture = atlas.draw(process.stress.water_ramp).decode()
    assert picture.startswith("<?xml") and "water_ramp" in picture and "rew" in picture
