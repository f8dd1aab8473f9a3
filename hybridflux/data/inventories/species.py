"""Tree species of the French forest inventory: codes, wood densities and volume equations."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

MEAN_WOOD = "Infradensité moyenne"
MEAN_BROADLEAF, MEAN_CONIFER = "Feuillus (moyenne)", "Conifères (moyenne)"
WOOD: dict[str, str] = {
    "02": "Chêne pédonculé", "03": "Chêne sessile", "04": "Chêne rouge d'Amérique", "05": "Chêne pubescent", "06": "Chêne vert",
    "07": "Chêne tauzin", "08": "Chêne-liège", "09": "Hêtre", "10": "Châtaignier", "11": "Charme", "12": "Bouleaux", "13": "Grands aulnes",
    "14": "Robinier faux acacia", "15": "Grand érables", "17": "Frênes", "18": "Ormes", "19": "Peupliers cultivés", "20": "Tilleuls",
    "21": "Petits érables", "22": "Merisier", "23": "Fruitiers", "24": "Tremble", "25": "Saules", "31": "Noisetier",
    "33": "Peupliers non cultivés", "51": "Pin maritime", "52": "Pin sylvestre", "53": "Pin laricio", "54": "Pin noir d'Autriche",
    "57": "Pin d'Alep", "58": "Pin à crochets", "61": "Sapin pectiné", "62": "Epicéa commun", "63": "Mélèze d'Europe", "64": "Douglas",
    "65": "Cèdre de l'Atlas", "72": "Sapin de Vancouver", "73": "Epicéa de Sitka", "74": "Mélèze du Japon",
}  # fmt: skip
"""First two digits of `espar` -> row of the table of basic wood densities; others take the mean of broadleaves or conifers. The
pairs were checked against species names in published tree tables, except 06, 07, 08, 54, 57 and 58, which are from the key."""
_FIRST_CONIFER = 51  # codes from here on are conifers
SPRUCE, FIR, DOUGLAS, PINE, MARITIME, OAK, BEECH = (
    "Picea abies",
    "Abies alba",
    "Pseudotsuga",
    "Pinus sylvestris",
    "Pinus pinaster",
    "Quercus",
    "Fagus",
)
_VOLUME_OF = {"51": MARITIME, "61": FIR, "72": FIR, "62": SPRUCE, "73": SPRUCE, "64": DOUGLAS, "09": BEECH, "11": BEECH}


def is_conifer(espar: pd.Series) -> np.ndarray:
    """Whether a code is a conifer; codes that are not numbers are broadleaves."""
    return pd.to_numeric(_digits(espar), errors="coerce").fillna(0).to_numpy() >= _FIRST_CONIFER


def volume_group(espar: pd.Series) -> np.ndarray:
    """Species whose volume equation is used for a code: its own, else Scots pine for conifers and sessile oak for broadleaves."""
    own = _digits(espar).map(_VOLUME_OF)
    return own.where(own.notna(), np.where(is_conifer(espar), PINE, OAK)).to_numpy()


def wood_density(espar: pd.Series, table: pd.DataFrame) -> np.ndarray:
    """Basic density of the wood of each tree, dry mass over green volume [t m-3].

    Args:
        espar: species codes of the inventory.
        table: columns `Essence` and `infradensite` (IGN after Dupouey 2002).

    Raises:
        ValueError: the table lacks a column or the means.
    """
    if not {"Essence", "infradensite"} <= set(table.columns):
        raise ValueError(f"the table of wood densities needs the columns Essence and infradensite; it has {', '.join(table.columns)}")
    density = dict(zip(table["Essence"], table["infradensite"].astype(float), strict=True))
    if lacking := {MEAN_WOOD, MEAN_BROADLEAF, MEAN_CONIFER} - set(density):
        raise ValueError(f"the table of wood densities lacks {', '.join(sorted(lacking))}, needed for species it does not name")
    own = _digits(espar).map(WOOD).map(density)
    blank = espar.fillna("").astype(str).str.strip().eq("").to_numpy()
    if blank.any():
        warnings.warn(
            f"{blank.mean():.1%} of the trees name no species and take the mean wood density, {density[MEAN_WOOD]:g} t m-3", stacklevel=2
        )
    group = np.where(is_conifer(espar), density[MEAN_CONIFER], density[MEAN_BROADLEAF])
    return own.where(own.notna(), np.where(blank, density[MEAN_WOOD], group)).to_numpy(float)


def _digits(espar: pd.Series) -> pd.Series:
    return espar.fillna("").astype(str).str.strip().str[:2]
