"""A command with many options, whose help lists them in sections."""

from collections.abc import Iterable, Mapping
from typing import Any

import click


class SectionedCommand(click.Command):
    """A command whose help lists its options under several headings.

    Parameters
    ----------
    sections
        The names of the parameters under each heading, in the order of the headings; the others stand under "Options", first.
    """

    def __init__(self, *arguments: Any, sections: Mapping[str, Iterable[str]], **named: Any) -> None:  # noqa: ANN401  # click's
        super().__init__(*arguments, **named)
        self.sections = {title: frozenset(names) for title, names in sections.items()}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options."""
        records: dict[str, list[tuple[str, str]]] = {"Options": [], **{title: [] for title in self.sections}}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            title = next((title for title, names in self.sections.items() if parameter.name in names), "Options")
            if record is not None:
                records[title].append(record)
        for title, rows in records.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
