"""A posterior over a region: tiles in, maps and totals per draw out. The folders stand in the order in which a run walks them.

| where | what |
|---|---|
| `store/` | a region on disk: grid, form, checksums; made, checked, extended |
| `drivers/` | what a run reads of it: opened, which days, which tiles, under which change, plausible or not |
| `draws/` | what differs between draws besides parameters: effects of places, errors of vegetation, structural error |
| `spec.py` | all that decides the results of a run |
| `kernels/` | the physics over blocks of pixels, on CPUs and on GPUs |
| `outputs/` | what is kept: the store of fluxes, totals of zones, GeoTIFFs |
| `run/` | one run on disk: begun, locked, tile by tile through an executor, estimated, reported |
| `map.py` | the verbs: a posterior, a region and settings to a run folder |

Each row imports from those above it only. Not here: what a map is used for (`products/`), reading satellite scenes (`data/`).
"""
