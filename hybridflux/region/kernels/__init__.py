"""Physics over blocks of pixels: inputs on the devices (`kernel_inputs.py`), the day loop for CPUs (`cpu.py`) and for GPUs (`gpu/`).

`contract.py` says what a loop takes and gives, and what an output does inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybridflux.model.flux import HybridFlux
    from hybridflux.region.kernels.contract import Kernel, Static


def kernel_of(backend: str, model: HybridFlux, static: Static) -> Kernel:
    """The kernel that maps slabs on a kind of device: that of XLA, or the program for GPUs where it can.

    Args:
        backend: of JAX, `jax.default_backend()`.
        model: with a draw axis on its learned leaves.
        static: what is fixed.
    """
    if backend == "gpu":
        from hybridflux.region.kernels.gpu.accelerator import run_slab_on_accelerator, supports

        if supports(static, model) is None:
            return run_slab_on_accelerator
    from hybridflux.region.kernels.cpu import run_slab

    return run_slab
