"""What MkDocs does not do by itself for the site of the documentation; mkdocs.yml names this module among its hooks.

Files of the repository that pages link to become pages too, so that the site is whole without a network; the commands' options and
the codes are read from the packages, and the figures of the pages on concepts are computed.
"""

import ast
import inspect
import itertools
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import cmr_planes.cli
import cmr_planes.errors
import cmr_planes.fates
import cmr_train.cli
from tools.concept_figures import FIGURES, png

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")
"""A link or an image with a relative target, and its anchor."""
ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):<code>~?\.?([^<]*)</code>")
"""A role of Sphinx in a docstring, as Markdown leaves it."""
COPIED = {".png", ".svg", ".csv"}
"""Files that the site holds as they are; text becomes a page."""
HOME = "repository"
"""The site's folder of pages from outside docs."""
GENERATED = "reference"
"""The site's folder of pages that are made here."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference, the computed figures in place of their copies, and all files of the repository that pages link to."""
    for name, module, program in (("cmr-planes", cmr_planes.cli, "cmr-planes"), ("cmr-train", cmr_train.cli, "cmr-train")):
        files.append(File.generated(config, f"{GENERATED}/{name}.md", content=page_of_commands(program, module)))
    files.append(File.generated(config, f"{GENERATED}/codes.md", content=page_of_codes()))
    for name in FIGURES:
        uri = f"images/concepts/{name}.png"
        copy = files.get_file_from_path(uri)
        if copy is not None:
            files.remove(copy)
        files.append(File.generated(config, uri, content=png(name)))
    for path in linked_from_docs(config):
        if path.suffix in COPIED:
            files.append(File.generated(config, site_uri(path), abs_src_path=str(ROOT / path)))
        else:
            files.append(File.generated(config, site_uri(path), content=page_of_file(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001  # MkDocs passes by name
    """Point links at the site's pages."""
    here = page.file.src_uri
    if here.startswith(f"{GENERATED}/"):
        return markdown
    source = Path(here).relative_to(HOME) if here.startswith(f"{HOME}/") else Path("docs") / here

    def mended(match: re.Match[str]) -> str:
        target = target_of(source, match[2])
        if target is None:
            return match[0]
        anchor = "" if target == Path("README.md") else match[3] or ""
        return f"{match[1]}{posixpath.relpath(site_uri(target), posixpath.dirname(here) or '.')}{anchor}{match[4]}"

    return LINK.sub(mended, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001  # MkDocs passes by name
    """Show what docstrings write in the way of Sphinx as a reader expects it: names as code, one colon before an example."""
    return ROLE.sub(r"<code>\1</code>", html).replace("::</p>", ":</p>")


def target_of(source: Path, link: str) -> Path | None:
    """Return the path, relative to the repository, of what a page links to; None if the repository has no such file."""
    path = Path(posixpath.normpath((source.parent / link).as_posix()))
    return path if not path.as_posix().startswith("..") and (ROOT / path).exists() else None


def site_uri(path: Path) -> str:
    """Return the place in the site of a file or folder of the repository."""
    if path == Path("README.md"):
        return "index.md"
    if path.is_relative_to("docs"):
        return path.relative_to("docs").as_posix()
    if (ROOT / path).is_dir():
        return f"{HOME}/{path.as_posix()}/index.md"
    return f"{HOME}/{path.as_posix()}" + ("" if path.suffix in {*COPIED, ".md"} else ".md")


def linked_from_docs(config: MkDocsConfig) -> list[Path]:
    """Return the files and folders outside docs that pages link to, directly or by each other."""
    found: set[Path] = set()
    ahead = [path.relative_to(ROOT) for path in Path(config.docs_dir).rglob("*.md")]
    ahead += [Path("CONTRIBUTING.md"), Path("benchmarks/README.md"), Path("CHANGELOG.md")]
    while ahead:
        path = ahead.pop()
        if path in found:
            continue
        if not path.is_relative_to("docs") and path != Path("README.md"):
            found.add(path)
        ahead += links_of(path)
    return sorted(found)


def links_of(path: Path) -> Iterator[Path]:
    """Yield what a page or a folder leads to."""
    if (ROOT / path).is_dir():
        yield from (item.relative_to(ROOT) for item in (ROOT / path).iterdir() if item.suffix in {".toml", ".py", ".sh", ".csv"})
    elif path.suffix == ".md":
        targets = (target_of(path, match[2]) for match in LINK.finditer((ROOT / path).read_text(encoding="utf-8")))
        yield from (target for target in targets if target is not None and not target.is_relative_to("docs"))


def page_of_file(path: Path) -> str:
    """Return a file of text, or the list of a folder, as Markdown."""
    if (ROOT / path).is_dir():
        lines = [f"- [{item.name}]({item.name})" for item in sorted(ROOT / item for item in links_of(path))]
        return "\n".join([f"# {path.as_posix()}", "", *lines, ""])
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return (
        f"# {path.as_posix()}\n\n``````{ {'.py': 'python', '.sh': 'bash', '.toml': 'toml'}.get(path.suffix, '') }\n{text}``````\n"
    )


def page_of_commands(program: str, module: ModuleType) -> str:
    """Return the reference of a program: what ``--help`` says, as Markdown."""
    parts = [f"# {program}", paragraphs(module.main.help or "")]
    for name, lazy in module.COMMANDS.items():
        command = lazy.load()
        context = click.Context(command, info_name=f"{program} {name}")
        usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
        parts += [f"## {program} {name}", paragraphs(command.help or ""), f"```\n{usage}\n```", *tables(command, context)]
    return "\n\n".join(parts) + "\n"


def tables(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the options of a command, as a table."""
    records = [record for record in (each.get_help_record(context) for each in command.get_params(context)) if record is not None]
    rows = [f"| `{options}` | {cell(meaning)} |" for options, meaning in records if meaning]
    yield "\n".join(["| option | meaning |", "|---|---|", *rows])


def cell(text: str) -> str:
    """Return text as the content of a cell."""
    return re.sub(r"([|<>*_\[\]])", r"\\\1", " ".join(text.split()))


def paragraphs(text: str) -> str:
    r"""Return a command's description as Markdown; a paragraph that begins with ``\b`` keeps its lines."""
    parts = []
    for part in inspect.cleandoc(text).split("\n\n"):
        if part.startswith("\b\n"):
            first, *lines = part[2:].splitlines()
            parts += [first, "```\n" + inspect.cleandoc("\n".join(lines)) + "\n```"] if lines else [first]
        else:
            parts.append(re.sub(r"([<>*_\[\]])", r"\\\1", part))
    return "\n\n".join(parts)


def page_of_codes() -> str:
    """Return all codes with their meanings, as the packages state them."""
    errors, fates = (Path(inspect.getfile(module)) for module in (cmr_planes.errors, cmr_planes.fates))
    parts = [
        "# Codes",
        "Scripts may rely on all of these. [Troubleshooting by code](../troubleshooting.md) says what to do about each rejection.",
    ]
    for title, path, name in (
        ("Rejections", errors, "RejectionCode"),
        ("Notes", errors, "NoteCode"),
        ("Fates of planes", fates, "Fate"),
        ("Exit codes", errors, "ExitCode"),
    ):
        rows = [f"| `{value}` | {meaning.replace('``', '`')} |" for value, meaning in members(path, name)]
        parts += [f"## {title}", "\n".join(["| code | meaning |", "|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"


def members(path: Path, name: str) -> list[tuple[object, str]]:
    """Return value and docstring of the members of an enumeration."""
    (body,) = (
        node.body
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    found: list[tuple[object, str]] = []
    for statement, after in itertools.pairwise(body):
        if isinstance(statement, ast.Assign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            assert isinstance(statement.value, ast.Constant)  # noqa: S101
            found.append((statement.value.value, str(after.value.value)))
    return found
