"""Published numbers that tests compare with, one small file a topic; PROVENANCE.md says where each comes from."""

import csv
import json
from pathlib import Path

FOLDER = Path(__file__).parent


def rows(name: str) -> list[dict]:
    """Rows of a CSV file, numbers as float; an empty cell is not in its row."""
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return [{key: _number(cell) for key, cell in row.items() if cell} for row in csv.DictReader(file)]


def cases(name: str) -> list[dict]:
    """Cases of a JSON file: `function`, `inputs`, `expected`, `tolerance`."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell
