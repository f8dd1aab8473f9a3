"""Which kernel maps slabs on the devices of this process."""

from __future__ import annotations

from hybridflux.model.flux import HybridFlux
from hybridflux.region.kernels.contract import Kernel, Static
from hybridflux.region.kernels.cpu import run_slab


def kernel_of(backend: str, model: HybridFlux, static: Static) -> Kernel:
    """The kernel for a kind of device: `run_slab`, or `run_slab_on_accelerator` on a GPU that can run this model.

    Args:
        backend: of JAX, `jax.default_backend()`.
        model: with a draw axis on its learned leaves.
        static: what is fixed when the kernel is compiled.
    """
    if backend != "gpu":
        return run_slab
    from hybridflux.region.kernels.gpu.accelerator import run_slab_on_accelerator, supports

    return run_slab_on_accelerator if supports(static, model) is None else run_slab
