"""The reference of the command line, read from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from docs.site.words import plain, table
from hybridflux.cli import app


def commands(group=None, path: tuple[str, ...] = ("hybridflux",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it."""
    group = typer.main.get_command(app) if group is None else group
    if not hasattr(group, "commands"):
        yield path, group
        return
    for name, command in group.commands.items():
        yield from commands(command, (*path, name))


def page() -> str:
    """One section a command: usage, what it does, its arguments and options."""
    found = list(commands())
    overview = [(f"[`{' '.join(path)}`](#{'-'.join(path)})", plain(_first(command))) for path, command in found]
    parts = [
        "# Command line",
        "Every command explains itself with `--help`. Exit code 0: done; 1: a fault of hybridflux, with a traceback; 2: a mistake "
        "that you can "
        "mend, in one line that names the file, the value and the cure. `--debug` shows the traceback of such a mistake too.",
        table(["command", "what it does"], overview),
    ]
    for path, command in found:
        parts += _section(path, command)
    return "\n\n".join(parts) + "\n"


def _section(path: tuple[str, ...], command) -> list[str]:
    asked = [one for one in command.params if one.name not in ("help", "install_completion", "show_completion")]
    named = [one.name.upper() if one.required else f"[{one.name.upper()}]" for one in asked if not _is_option(one)]
    usage = " ".join([*path, "[OPTIONS]", *named])
    text = "\n\n".join(plain(part) for part in (command.help or "").replace("\n\n", "\0").replace("\n", " ").split("\0"))
    rows = [(_name(one), _default(one), plain(getattr(one, "help", "") or "")) for one in asked]
    return [f"## {' '.join(path[1:])} {{ #{'-'.join(path)} }}", f"```\n{usage}\n```", text, table(["option", "default", "meaning"], rows)]


def _is_option(parameter) -> bool:
    return parameter.param_type_name == "option"


def _first(command) -> str:
    return (command.help or "").strip().split("\n\n")[0].replace("\n", " ")


def _name(parameter) -> str:
    if _is_option(parameter):
        text = ", ".join(f"`{one}`" for one in (*parameter.opts, *parameter.secondary_opts))
        return text + (" (repeatable)" if parameter.multiple else "")
    return f"`{parameter.name.upper()}`"


def _default(parameter) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    if value is None or callable(value) or (isinstance(value, (list, tuple)) and not value):
        return ""
    return {True: "yes", False: "no"}.get(value, f"`{value}`") if isinstance(value, bool) else f"`{value}`"
