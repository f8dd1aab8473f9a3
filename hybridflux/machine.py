"""Settings of this machine that must stand in the environment before JAX and matplotlib are imported."""

from __future__ import annotations

import ctypes
import hashlib
import os
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of malloc.h
KEPT = 1 << 27  # bytes of an array, at most, whose memory stays for the next one; 200 x 200 pixels of two years have 58 MB
KEPT_IN_ALL = 1 << 30  # bytes


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
    one_heap()


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_heap() -> None:
    """Let all threads share one heap of glibc (mallopt(3)), which keeps what is freed for the next tile until `give_back_memory`.

    A heap for each thread keeps what it freed, and takes 130 MB more for a map. By themselves arrays beyond 32 MB are given back to the
    system at once, and each new page that the next tile then writes is cleared first.
    """
    options = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if options is not None:
        for name, value in ((M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, KEPT), (M_TRIM_THRESHOLD, KEPT_IN_ALL)):
            options(name, value)


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
