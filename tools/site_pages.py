"""Pages of the site that are made from files: the gallery, notebooks, how to cite."""

import base64
import configparser
import json
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def read(path):
    """A text file of the checkout."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def gallery():
    """The page of the sets that ship, and its pictures: contents by path."""
    from tfdistill.distilled import card, shipped

    parts = [
        "# Gallery",
        "Distilled sets that ship with the library, each with what fresh networks that "
        "learned from it alone reach on the real test images.",
    ]
    files = {}
    for name in shipped.distilled_names():
        distilled = shipped.load_distilled(name)
        picture = f"gallery/{name.replace('/', '_')}.png"
        with open(os.path.join(shipped.FOLDER, name, "images.png"), "rb") as file:
            files[picture] = file.read()
        rows = "\n".join(
            f"| `{row['student'].replace(',', '`, `')}` "
            f"| {card.accuracy(row)} "
            f"| {row['num_students']} |"
            for row in distilled.provenance["measured"]
        )
        parts += [
            f"## {name}",
            f'<img src="{os.path.basename(picture)}" width="420" alt="{name}" '
            'style="image-rendering: pixelated">',
            f"{distilled.num_images} images; "
            f"{distilled.recipe.describe(distilled.images.shape)}.",
            f"| network | test accuracy | networks |\n|---|---|---|\n{rows}",
            f'```python\nimages = tfdistill.load_distilled("{name}")\n```',
        ]
    return {"gallery.md": "\n\n".join(parts) + "\n", **files}


def citation():
    """The page of CITATION.cff."""
    return (
        "# How to cite\n\nPlease cite the library, and the papers whose methods you "
        'use. GitHub\'s "Cite this repository" makes BibTeX of `CITATION.cff`:\n\n'
        f"```yaml\n{read('CITATION.cff')}```\n"
    )


def notebooks():
    """The notebooks as pages, and their pictures: contents by path, in our order."""
    names = re.findall(r"\]\(colab/(\w+)\.ipynb\)", read("README.md"))
    found = {}
    for name in names:
        cells = json.loads(read(f"colab/{name}.ipynb"))["cells"]
        parts = []
        for number, cell in enumerate(cells):
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                parts.append(source)
                continue
            parts.append(f"```python\n{source}\n```")
            for output in cell["outputs"]:
                data = output.get("data", {})
                if "image/png" in data:
                    picture = f"notebooks/{name}_{number}.png"
                    found[picture] = base64.b64decode(data["image/png"])
                    parts.append(f"![]({name}_{number}.png)")
                else:
                    text = "".join(output.get("text", data.get("text/plain", "")))
                    parts.append(f"```text\n{text.rstrip()}\n```")
        found[f"notebooks/{name}.md"] = "\n\n".join(parts) + "\n"
    return found


def api_index(homes):
    """The first page of the API reference.

    Args:
        homes: Names by module, as `docs.homes` gives them.
    """
    setup = configparser.ConfigParser()
    setup.read(os.path.join(ROOT, "setup.cfg"), encoding="utf-8")
    rows = [
        f"| [{home}]({home}.md) | "
        + ", ".join(f"`{name.rpartition('.')[2]}`" for name in names)
        + " |"
        for home, names in homes.items()
    ]
    return "\n".join(
        [
            "# API\n",
            f"{setup['metadata']['description']}.\n",
            "Public names are those of `tfdistill` itself and of the modules that it "
            "exports; each page below is of the module where they live. [How it works]"
            "(../how_it_works.md) says how they go together, [Your own classes]"
            "(../extending.md) how to add to them.\n",
            "| module | what it has |",
            "|---|---|",
            *rows,
            "",
        ]
    )
