"""Settings of this machine that must stand in the environment before JAX and matplotlib are imported."""

from __future__ import annotations

import ctypes
import hashlib
import os
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
M_ARENA_MAX = -8  # of malloc.h


def prepare() -> None:
    """Set XLA's flags and the compile cache for this machine. What the user has set stays.

    One XLA host device per core (tiles and chains then run side by side), 512-bit vectors where the processor has them
    (XLA does not use them unasked), none of XLA's tiled loops (a sum of two arrays passes each vector through the stack there, which takes
    longer for the same bits; jaxlib 0.10.2), and a compile cache that keeps every program, one folder per processor type because
    compiled code is not portable between them. Figures are files: the window of a notebook that calls hybridflux, which matplotlib may not
    know here, is not wanted.
    """
    os.environ.pop("MPLBACKEND", None)
    flags = os.environ.get("XLA_FLAGS", "")
    wanted = {"--xla_force_host_platform_device_count": str(cores()), "--xla_backend_extra_options": "xla_cpu_disable_tiled_emitter"}
    if "avx512f" in _processor():
        wanted["--xla_cpu_prefer_vector_width"] = "512"
    missing = [f"{flag}={value}" for flag, value in wanted.items() if flag not in flags]
    os.environ["XLA_FLAGS"] = " ".join([flags, *missing]).strip()
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(compile_cache()))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    few_arenas()


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def few_arenas() -> None:
    """Let all threads share two heaps of glibc (mallopt(3)), else each keeps what it freed: a map then takes 130 MB less."""
    options = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if options is not None:
        options(M_ARENA_MAX, 2)


def give_back_memory() -> None:
    """Return freed memory to the system, where the C library keeps it for the process (malloc_trim(3) of glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def compile_cache() -> Path:
    """Folder of compiled programs for this type of processor, under the user's cache folder."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "hybridflux" / f"jax-{hashlib.sha256(_processor().encode()).hexdigest()[:8]}"


def _processor() -> str:
    """Model and feature flags of the processor, empty where the system does not tell."""
    if not CPU_INFO.exists():
        return ""
    lines = CPU_INFO.read_text().partition("\n\n")[0].splitlines()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags", "Features")))
