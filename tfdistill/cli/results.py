"""What a run folder holds in the end: data, a trained network, pictures, metrics."""

import os
import resource

from tfdistill.cli import run_folder
from tfdistill.cli.command import Flag
from tfdistill.runs import files

# More classes than lines are of no use on a screen: of these, the lowest are shown.
_MOST_LINES, _LOWEST = 30, 10
SEED = Flag("seed", int, 0, "Random seed.", lowest=0)


def evaluation_json(result, student: str, dataset: str) -> dict:
    """An `Evaluation` as JSON: accuracies are fractions of 1."""
    return {**result.to_json(), "student": student, "dataset": dataset}


def compared_json(result, student: str, dataset: str) -> dict:
    """The same of what a result is compared with, without the confusion matrix."""
    content = evaluation_json(result, student, dataset)
    content.pop("confusion", None)
    content.pop("mistakes", None)
    return content


def class_lines(names, recalls) -> list[str]:
    """The recall of each class, a line for each; of many, the lowest.

    Args:
        names: Names of the classes.
        recalls: float `[classes]`, NaN for a class without test images.
    """
    known = [k for k in range(len(names)) if recalls[k] == recalls[k]]
    shown, lines = range(len(names)), []
    if len(names) > _MOST_LINES:
        shown = sorted(known, key=lambda k: recalls[k])[:_LOWEST]
        lines.append(f"  The {len(shown)} lowest of {len(names)} classes:")
    for k in shown:
        share = f"{100 * recalls[k]:.1f} %" if k in known else "no test images"
        lines.append(f"  {names[k]}: {share}")
    if len(known) < len(names) > _MOST_LINES:
        lines.append(f"  {len(names) - len(known)} classes have no test images.")
    return lines


def write(folder: str, distilled, model, figures: dict, content: dict) -> str:
    """Fills a run folder; its metrics come last.

    Args:
        folder: The run folder.
        distilled: A `DistilledDataset`; None for none.
        model: A network that learned from it, to be exported; None for none.
        figures: Matplotlib figures by name.
        content: For metrics.json, to which bytes and peak memory are added.

    Returns:
        What the result cost and what it was selected on, as a sentence.

    Raises:
        InputError: If the folder cannot be written.
    """
    size = 0
    with run_folder.writing(folder):
        if distilled is not None:
            distilled.save(os.path.join(folder, "distilled"), overwrite=True)
            size = distilled.num_bytes
        if model is not None:
            served = distilled.serving_model(model)
            exported = os.path.join(folder, "student")
            with files.replacing(exported) as temporary:
                served.export(temporary, verbose=False)
        save_figures(folder, figures)
        content = {
            **content,
            "num_images": 0 if distilled is None else distilled.num_images,
            "bytes": size,
            "peak_memory_bytes": peak_memory(),
        }
        files.write_json(os.path.join(folder, "metrics.json"), content)
    run_folder.journal(folder).forget()
    return (
        f"{size / 1024:.0f} KiB of images and labels, "
        f"{content['seconds']:.0f} seconds, {peak_memory() / 2**20:.0f} MiB at the "
        f"peak; selected: {content['selection']}."
    )


def save_figures(folder: str, figures: dict) -> None:
    """Writes Matplotlib figures, by name, as pictures into a run folder."""
    from tfdistill.reporting import plots

    for name, figure in figures.items():
        plots.save(figure, os.path.join(folder, "images", f"{name}.png"))


def peak_memory() -> int:
    """The most memory that this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
