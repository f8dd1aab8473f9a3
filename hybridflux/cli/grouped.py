"""The list of commands of `hybridflux --help`, by what a user does with them."""

from __future__ import annotations

from collections.abc import Iterator

from typer.core import TyperGroup

BEGIN, TOWERS, REGIONS, MAPS, ACCOUNTS, LOOK = "Begin", "Fit to towers", "Build a region", "Map", "Account", "Look and pass on"


class Grouped(TyperGroup):
    """A group that lists its commands, and those of its groups, under the headings that they declare (`rich_help_panel`)."""

    def format_commands(self, ctx, formatter) -> None:
        """Write the headings, in the order of their first command, and the commands in the order in which they were added."""
        listed: dict[str, list[tuple[str, str]]] = {}
        commands = list(self._all(ctx))
        wide = max(len(name) for name, *_ in commands)
        for name, heading, command in commands:
            listed.setdefault(heading, []).append((name.ljust(wide), command.get_short_help_str(max(formatter.width - wide - 4, 20))))
        for heading, rows in listed.items():
            with formatter.section(heading):
                formatter.write_dl(rows)

    def _all(self, ctx) -> Iterator[tuple]:
        """Name, heading and command of every command, `region build` among them."""
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            inner = getattr(command, "commands", None) or {"": command}
            for word, one in inner.items():
                yield f"{name} {word}".strip(), command.rich_help_panel, one
