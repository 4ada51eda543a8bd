"""Text from templates: equal content gives equal text."""

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

BASE_STYLE = "base.css"
"""The style that all pages share."""


def render(
    package: str,
    template: str,
    content: Mapping[str, Any],
    *,
    tests: Mapping[str, Callable[[Any], bool]] | None = None,
    filters: Mapping[str, Callable[[Any], Any]] | None = None,
) -> str:
    """Fill a template in; what a template uses and is not given is an error.

    Parameters
    ----------
    package
        The package in whose folder ``templates`` the template lies.
    template
        Its name; values are escaped if it ends in ``.html.j2``.
    content
        Values by name. ``css`` is added: the common style.
    tests, filters
        Jinja's, by name, besides its own.

    Returns
    -------
        The text.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.tests.update(tests or {})
    environment.filters.update(filters or {})
    return environment.get_template(template).render({"css": part("cmr_planes.pages", BASE_STYLE), **content})


def part(package: str, name: str) -> str:
    """Return the text of a file of a package's folder ``templates``: a style or a script for a page to hold."""
    return (resources.files(package) / "templates" / name).read_text(encoding="utf-8")
