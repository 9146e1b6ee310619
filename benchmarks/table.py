"""From JSON rows to markdown: ``python -m benchmarks.table`` writes every table anew."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from benchmarks.store import read_rows
from benchmarks.table_ablation import ablation_page
from benchmarks.table_clustering import clustering_page
from benchmarks.table_conditional import conditional_page
from benchmarks.table_images import images_page
from benchmarks.table_integration import integration_page
from benchmarks.table_labels import labels_page
from benchmarks.table_mapping import mapping_page
from benchmarks.table_perturbation import perturbation_page
from benchmarks.table_space import space_page
from benchmarks.table_speed import speed_page
from benchmarks.table_threshold import threshold_page

logger = logging.getLogger(__name__)

RESULTS = Path("benchmarks/results")
PAGES = {
    "clustering": clustering_page,
    "conditional": conditional_page,
    "ablation": ablation_page,
    "images": images_page,
    "labels": labels_page,
    "perturbation": perturbation_page,
    "space": space_page,
    "mapping": mapping_page,
    "speed": speed_page,
    "integration": integration_page,
    "threshold": threshold_page,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder [%(default)s]")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name, page in PAGES.items():
        rows = read_rows(options.results / f"{name}.json")
        if rows:
            target = options.results / f"{name}.md"
            target.write_text(page(rows), encoding="utf-8")
            logger.info("wrote %s from %d rows", target, len(rows))


if __name__ == "__main__":
    main()
