"""What a search has found: shown, and written into its folder."""

import dataclasses
import os

from tfdistill.cli import results, run_folder
from tfdistill.runs import files

_SHOWN = 10


def finish(c, search, dataset, agreement, kept, progress):
    """Shows the result and writes the folder's files, pictures last.

    Args:
        c: The command's `Configuration`.
        search: The `Search` that has ranked candidates.
        dataset: The real data.
        agreement: How well two rankings agree, or None.
        kept: What metrics.json says of each architecture that is kept.
        progress: Where failures are told.
    """
    from tfdistill.reporting import plots
    from tfdistill.studies import architecture_search

    ranking = search.ranking
    print(architecture_search.table(ranking[:_SHOWN]))
    figures = {}
    if agreement is not None:
        both = [x for x in ranking if x.real_accuracy is not None]
        figures["search"] = lambda: plots.agreement(
            [x.score for x in both],
            [x.real_accuracy for x in both],
            agreement.spearman,
        )
        print(
            f"Of {agreement.candidates} candidates trained on both: rank correlation "
            f"(Spearman) {agreement.spearman:.2f}; of the top {agreement.top} on "
            f"distilled images {100 * agreement.overlap:.0f} % are among those on real "
            f"ones, and the best of them is within {100 * agreement.shortfall:.2f} "
            f"points of the best of all; {agreement.speedup:.1f} times faster."
        )
    for content in kept:
        print(
            f"{content['file']}: test accuracy {100 * content['test_accuracy']:.2f} %, "
            f"{content['parameters']:,} weights"
        )
    table = architecture_search.table(ranking) + "\n"
    content = {
        "space": c.space,
        "dataset": dataset.name,
        "normalization": dataset.normalization.to_config(),
        "ranked": len(ranking),
        "skipped": len(search.candidates) - len(ranking),
        "seconds_per_candidate": sum(x.seconds for x in ranking) / len(ranking),
        "agreement": agreement and dataclasses.asdict(agreement),
        "architectures": kept,
        "selection": "architectures on validation images; nothing on test images",
    }
    with run_folder.writing(c.workdir):
        files.write_text(os.path.join(c.workdir, "ranking.md"), table)
    result = results.Result(c.workdir, map(results.picture, figures), progress)
    result.add(content)
    result.attempt_pictures(figures)
    result.end()
