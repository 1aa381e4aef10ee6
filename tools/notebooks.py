"""Runs the notebooks of colab/ and keeps what they show.

    python tools/notebooks.py                     # all
    python tools/notebooks.py adaptation your_own

So GitHub and Colab show pictures and figures before anybody runs a cell. Pictures are
stored with fewer colours, a bar as the line that it ends with, and TensorFlow's notes
about the machine not at all. The metadata says which cells were run, so that a test
finds a notebook that was changed afterwards. Needs the extra [test].
"""

import argparse
import base64
import hashlib
import io
import os
import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "colab").glob("*.ipynb"))
#: Colours of a stored picture.
_COLOURS = 64


def execute(notebook, folder, timeout=1800):
    """Runs all cells of a notebook, which then hold their outputs.

    Args:
        notebook: A notebook of nbformat.
        folder: The working folder.
        timeout: Seconds that a cell may take.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails.
    """
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    nbclient.NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--matplotlib=inline"],
    ).execute()


def code_cells(notebook):
    """The code cells, in their order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def fingerprint(notebook):
    """SHA-256 of what the code cells say."""
    sources = "\0".join(cell.source for cell in code_cells(notebook))
    return hashlib.sha256(sources.encode()).hexdigest()


def tidy(notebook):
    """Makes the outputs of a notebook small, and free of what is this machine's."""
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata["tfdistill"] = {"executed": fingerprint(notebook)}
    for cell in code_cells(notebook):
        cell.metadata.pop("execution", None)
        cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
        for output in cell.outputs:
            if "text" in output:
                output["text"] = output["text"].replace("\r\n", "\n")
            if "image/png" in output.get("data", {}):
                output["data"]["image/png"] = _smaller(output["data"]["image/png"])


def _smaller(png):
    """A picture in base64 with fewer colours; as it is, if that takes less room."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    file = io.BytesIO()
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(
        file, "png", optimize=True
    )
    return min(png.strip(), base64.b64encode(file.getvalue()).decode(), key=len)


def main():
    """Runs the notebooks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = [path.stem for path in NOTEBOOKS]
    parser.add_argument("name", nargs="*", default=[], help=", ".join(names))
    wanted = parser.parse_args().name
    if unknown := set(wanted) - set(names):
        sys.exit(f"No such notebook: {', '.join(sorted(unknown))}.")
    for path in NOTEBOOKS:
        if wanted and path.stem not in wanted:
            continue
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            execute(notebook, folder)
        tidy(notebook)
        nbformat.write(notebook, path)
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB", flush=True)


if __name__ == "__main__":
    main()
