"""Repair of polygons before measuring and rasterising: self-crossing rings, collections, heights, duplicates, slivers."""

from __future__ import annotations

import numpy as np

POLYGONS = (3, 6)
"""Types of `shapely.get_type_id`: Polygon and MultiPolygon."""
_COLLECTION = 7


def repaired(shapes: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Valid polygons `[feature]` without heights, and the counts of repairs; points and lines are not changed.

    A ring that crosses itself keeps the area that it encloses on either side (`shapely.make_valid`, method `structure`), so a parcel drawn
    as a figure of eight keeps both loops, and one whose ring overlaps itself has no hole there. Unrepaired, its area would be the
    difference of the loops. Of a collection the polygons are kept.

    Args:
        shapes: geometries in a projected coordinate system.

    Returns:
        The shapes, empty where a polygon has no area left, and the counts `invalid` and `collections`, and the areas
        `area_before` and `area_after` of the invalid ones, in the square of the unit of the coordinates.
    """
    import shapely

    shapes = shapely.force_2d(shapes)
    collection = shapely.get_type_id(shapes) == _COLLECTION
    shapes[collection] = [
        shapely.union_all([shapely.make_valid(part) for part in _parts(shape) if _is_polygon(part)]) for shape in shapes[collection]
    ]
    invalid = np.isin(shapely.get_type_id(shapes), POLYGONS) & ~shapely.is_valid(shapes)
    before = float(shapely.area(shapes[invalid]).sum())
    shapes[invalid] = shapely.make_valid(shapes[invalid], method="structure", keep_collapsed=False)
    counts = {"invalid": int(invalid.sum()), "collections": int(collection.sum()), "area_before": before}
    return shapes, counts | {"area_after": float(shapely.area(shapes[invalid]).sum())}


def duplicates(shapes: np.ndarray) -> np.ndarray:
    """Index of the first feature with exactly the same geometry, its own index if it is the first `[feature]`."""
    import shapely

    first: dict[bytes, int] = {}
    return np.array([first.setdefault(key, index) for index, key in enumerate(shapely.to_wkb(shapely.normalize(shapes)))], int)


def slivers(shapes: np.ndarray, pixel: float) -> np.ndarray:
    """Whether the mean width of a polygon, twice its area over its perimeter, is below half a pixel `[feature]`."""
    import shapely

    length = shapely.length(shapes)
    return 2 * shapely.area(shapes) < 0.5 * pixel * length


def _parts(shape) -> list:
    """The single geometries of a collection, at any depth."""
    import shapely

    return [inner for part in shapely.get_parts(shape) for inner in (_parts(part) if shapely.get_type_id(part) == _COLLECTION else [part])]


def _is_polygon(shape) -> bool:
    import shapely

    return shapely.get_type_id(shape) in POLYGONS and not shape.is_empty
