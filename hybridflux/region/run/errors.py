"""How a run is stopped. Nothing is imported here: to name an error is no reason to load an engine."""


class RunStopped(OSError):
    """The machine stopped a run: disk, permissions, workers."""


class RunInterrupted(KeyboardInterrupt):
    """The user, or the system on its way down, stopped a run."""
