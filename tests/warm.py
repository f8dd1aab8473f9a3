"""What the process imports from which commands are forked (`killing.py`): nothing that starts threads."""

from hybridflux.machine import prepare

prepare()  # before jax is imported
import h5netcdf  # noqa: E402, F401
import numpyro  # noqa: E402, F401
import odc.geo.xr  # noqa: E402, F401
import rasterio  # noqa: E402, F401

import hybridflux.cli.maps  # noqa: E402
import hybridflux.cli.regions  # noqa: E402
import hybridflux.ingest.build  # noqa: E402
import hybridflux.region.map  # noqa: E402, F401
