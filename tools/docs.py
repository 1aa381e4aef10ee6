"""Pages of the documentation that are made from the code: hooks of tools/mkdocs.yml.

    mkdocs build --strict -f tools/mkdocs.yml

README is the first page; each command's page shows what it declares, as its --help
does; the API reference shows what `tfdistill` and its packages export, by module, with
the defaults that they have. `site_pages.py` has the pages that are made from files.
"""

import ast
import html
import importlib
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
#: Pages that are made of other files.
OTHER_PAGES = {"CITATION.cff": "citation.md", "tfdistill/distilled/zoo": "gallery.md"}
# The checkout's own tfdistill, installed or not; and the module beside this one.
sys.path[:0] = [ROOT, os.path.join(ROOT, "tools")]
import site_pages  # noqa: E402


def on_config(config):
    """Lists the generated pages in the navigation."""
    from tfdistill.cli import main

    notebooks = [path for path in site_pages.notebooks() if path.endswith(".md")]
    config.nav += [
        {"Notebooks": notebooks},
        {"Commands": [f"commands/{name}.md" for name in main.COMMANDS]},
        {"API": ["api/index.md", *(f"api/{home}.md" for home in homes())]},
    ]
    return config


def on_files(files, config):
    """Adds the generated pages."""
    from tfdistill.cli import main

    pages = {page: root_page(path) for path, page in ROOT_PAGES.items()}
    pages |= site_pages.gallery() | site_pages.notebooks()
    pages["citation.md"] = site_pages.citation()
    pages["api/index.md"] = site_pages.api_index(homes())
    for name, summary in main.COMMANDS.items():
        pages[f"commands/{name}.md"] = command_page(name, summary)
    for home, names in homes().items():
        pages[f"api/{home}.md"] = api_page(home, names)
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def homes():
    """What `tfdistill` exports, by the home of each: full names, in their order.

    A package that is exported has the names that it imports for others and that have
    no page yet; any other module is shown whole, and then what it imports for others.
    """
    import tfdistill

    found, packages, known = {}, [], set()
    for name in tfdistill.__all__:
        module, original = tfdistill._HOMES[name]
        value, path = getattr(tfdistill, name), f"{module}.{original}"
        if hasattr(value, "__path__"):
            packages.append(value)
        elif isinstance(value, types.ModuleType):
            found[path] = [path, *exported(value)]
            known.update(found[path])
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


def api_page(home, names):
    """The reference of what a module exports.

    Args:
        home: The module, without `tfdistill.`.
        names: Full names.
    """
    titles = names[:1] if names[0] == f"tfdistill.{home}" else names
    few = len(titles) <= 3
    title = ", ".join(name.rpartition(".")[2] for name in titles) if few else home
    return f"# {title}\n\n" + "\n".join(f"::: {name}\n" for name in names)


class Docstrings(griffe.Extension):
    """What griffe does not know of our docstrings and signatures."""

    def on_object(self, *, obj, **_):
        """Shows `Example:` as code, and what is said of "a, b" of each of the two."""
        if obj.docstring:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.M)
            obj.docstring.value = one_by_one(text)

    def on_function(self, *, func, **_):
        """Shows the values of defaults that the source has by a name."""
        if func.parent.is_function:  # out of reach
            return
        named = [p for p in func.parameters if not literal(p.default)]
        if named:
            known = inspect.signature(runtime(func.path)).parameters
        for parameter in named:
            value = known[parameter.name].default
            if literal(repr(value)):
                parameter.default = repr(value)


def one_by_one(text):
    """A docstring in which each argument has its own entry."""
    entry = r"^( +)([*\w]+(?:, [*\w]+)+): (.+\n(?:\1 +.+\n)*)"
    before, header, arguments = text.partition("Args:\n")

    def split(match):
        margin, names, said = match.groups()
        return "".join(f"{margin}{name}: {said}" for name in names.split(", "))

    return before + header + re.sub(entry, split, f"{arguments}\n", flags=re.M)[:-1]


def literal(default):
    """Whether a default, as text, is a value; or there is none."""
    try:
        return default is None or (ast.literal_eval(str(default)), True)[1]
    except (ValueError, SyntaxError):
        return False


def runtime(path):
    """The object of a full name."""
    home, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(home), name)
    except ModuleNotFoundError:  # it is in a class
        return getattr(runtime(home), name)


def on_page_markdown(markdown, page, **_):
    """Points links to files outside docs/ at their pages, or at the repository."""
    if "/" in page.file.src_uri:
        return markdown
    for path, its_page in {**ROOT_PAGES, **OTHER_PAGES}.items():
        markdown = markdown.replace(f"](../{path})", f"]({its_page})")
    markdown = re.sub(r"\]\(\.\./colab/(\w+)\.ipynb\)", r"](notebooks/\1.md)", markdown)
    return markdown.replace("](../", f"]({SOURCE}")


def on_page_content(page_html, **_):
    """Lets no line end within the name of a flag."""
    return re.sub(r"<code>(--\w+)", r'<code><span class="flag">\1</span>', page_html)
