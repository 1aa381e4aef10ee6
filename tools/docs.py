"""Pages of the documentation that are made of the code: hooks of tools/mkdocs.yml.

    mkdocs build --strict -f tools/mkdocs.yml

README is the first page; each command's page shows what it declares, as its --help
does; the API reference names what `tfdistill` exports, home by home.
"""

import html
import os
import re
import sys
import types

from mkdocs.structure.files import File

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCE = "https://github.com/tfdistill/tfdistill/blob/main/"
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

    pages = {"index.md": first_page()}
    for name, summary in main.COMMANDS.items():
        pages[f"commands/{name}.md"] = command_page(name, summary)
    for home, names in homes().items():
        pages[f"api/{home}.md"] = api_page(home, names)
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def homes():
    """What `tfdistill` exports, by module: names, or None for the whole module."""
    import tfdistill

    found = {}
    for name in tfdistill.__all__:
        module, original = tfdistill._HOMES[name]
        if isinstance(getattr(tfdistill, name), types.ModuleType):
            found[f"{module}.{original}"] = None
        else:
            found.setdefault(module, []).append(original)
    return {home.removeprefix("tfdistill."): found[home] for home in sorted(found)}


def first_page():
    """README, as if it were in docs/."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        readme = file.read().replace('src="docs/', 'src="')
    readme = re.sub(r"\]\((?!\w+:|#|docs/)", "](../", readme)
    return readme.replace("](docs/", "](")


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
    """The reference of a module: of its exported names, or of all that is public."""
    if names is None:
        return f"# tfdistill.{home}\n\n::: tfdistill.{home}\n"
    parts = [f"::: tfdistill.{home}.{name}\n" for name in names]
    return f"# {', '.join(names)}\n\n" + "\n".join(parts)


def on_page_markdown(markdown, **_):
    """Points links to files outside docs/ at the repository."""
    return markdown.replace("](../", f"]({SOURCE}")
