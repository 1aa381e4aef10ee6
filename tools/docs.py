"""Pages of the documentation that are made from the code: hooks of tools/mkdocs.yml.

    mkdocs build --strict -f tools/mkdocs.yml

README is the first page; each command's page shows what it declares, as its --help
does; the API reference shows what `tfdistill` and its packages export, by module.
"""

import ast
import html
import inspect
import os
import re
import sys
import types

import griffe
from mkdocs.structure.files import File

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCE = "https://github.com/tfdistill/tfdistill/blob/main/"
#: Documents in the root folder, and their pages.
ROOT_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
# The checkout's own tfdistill, installed or not.
sys.path.insert(0, ROOT)


def on_config(config):
    """Lists the generated pages in the navigation."""
    from tfdistill.cli import main

    config.nav += [
        {"Commands": [f"commands/{name}.md" for name in main.COMMANDS]},
        {"API": [f"api/{home}.md" for home in homes()]},
    ]
    return config


def on_files(files, config):
    """Adds the generated pages."""
    from tfdistill.cli import main

    pages = {page: root_page(path) for path, page in ROOT_PAGES.items()}
    for name, summary in main.COMMANDS.items():
        pages[f"commands/{name}.md"] = command_page(name, summary)
    for home, names in homes().items():
        pages[f"api/{home}.md"] = api_page(names)
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def homes():
    """What `tfdistill` exports, by the home of each: full names, in their order.

    A package that is exported has the names that it imports for others and that have
    no page yet; any other module is shown whole.
    """
    import tfdistill

    found, packages, known = {}, [], set()
    for name in tfdistill.__all__:
        module, original = tfdistill._HOMES[name]
        value, path = getattr(tfdistill, name), f"{module}.{original}"
        if hasattr(value, "__path__"):
            packages.append(value)
        elif isinstance(value, types.ModuleType):
            found[path] = [path]
        else:
            found.setdefault(module, []).append(path)
        known.add(path)
    for package in packages:
        names = [path for path in exported(package) if path not in known]
        found[package.__name__] = names
        known.update(names)
    return {home.removeprefix("tfdistill."): found[home] for home in sorted(found)}


def exported(package):
    """The full names, in their homes, of what a package imports for others."""
    tree = ast.parse(inspect.getsource(package))
    return [
        f"{statement.module}.{alias.name}"
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
        if alias.asname == alias.name
    ]


def root_page(path):
    """A document of the root folder, as if it were in docs/."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read().replace('src="docs/', 'src="')
    text = re.sub(r"\]\((?!\w+:|#|docs/)", "](../", text)
    return text.replace("](docs/", "](")


def command_page(name, summary):
    """A command's page, of what it declares."""
    from tfdistill.cli import help as help_text
    from tfdistill.cli import main

    command = main.command(name)
    _, *paragraphs = command.about.strip().split("\n\n")
    parts = [f"# tfdistill {name}\n\n*{summary.capitalize()}.*"]
    parts += [
        f"```text\n{text}\n```" if text.startswith("  ") else text
        for text in paragraphs
    ]
    parts.append("```sh\n" + "\n".join(command.examples) + "\n```")
    for group in command.groups:
        flags = []
        for flag in group.flags:
            typed, default = map(html.escape, help_text.heading(flag))
            flags.append(f"<dt><code>{typed}</code> {default}</dt>")
            flags.append(f"<dd>{html.escape(flag.help)}</dd>")
        flags = "\n".join(flags)
        parts.append(f"## {group.title.capitalize()}\n\n<dl>\n{flags}\n</dl>")
    return "\n\n".join(parts) + "\n"


def api_page(names):
    """The reference of what a module exports.

    Args:
        names: Full names.
    """
    title = ", ".join(name.rpartition(".")[2] for name in names)
    return f"# {title}\n\n" + "\n".join(f"::: {name}\n" for name in names)


class Examples(griffe.Extension):
    """Shows a docstring's `Example:` as code: griffe knows the plural only."""

    def on_object(self, *, obj, **_):
        if obj.docstring:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.M)
            obj.docstring.value = text


def on_page_markdown(markdown, **_):
    """Points links to files outside docs/ at their pages, or at the repository."""
    for path, page in ROOT_PAGES.items():
        markdown = markdown.replace(f"](../{path})", f"]({page})")
    return markdown.replace("](../", f"]({SOURCE}")
