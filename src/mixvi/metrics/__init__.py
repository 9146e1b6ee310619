"""How good a result is: arrays in, numbers and tables out."""

from mixvi.metrics.calibration import expected_calibration_error, matched_calibration
from mixvi.metrics.clustering import (
    adjusted_rand_index,
    clustering_scores,
    contingency,
    hungarian_accuracy,
    n_captured,
    normalized_mutual_info,
    purity,
)
from mixvi.metrics.information import certainty, uncertainty_coefficient
from mixvi.metrics.mixing import within_type_mixing
from mixvi.metrics.perturbation import perturbation_scores, r2, squared_pearson
from mixvi.metrics.place import place_scores, zone_scores
from mixvi.metrics.stability import cluster_stability

__all__ = [
    "adjusted_rand_index",
    "certainty",
    "cluster_stability",
    "clustering_scores",
    "contingency",
    "expected_calibration_error",
    "hungarian_accuracy",
    "matched_calibration",
    "n_captured",
    "normalized_mutual_info",
    "perturbation_scores",
    "place_scores",
    "purity",
    "r2",
    "squared_pearson",
    "uncertainty_coefficient",
    "within_type_mixing",
    "zone_scores",
]


def __dir__() -> list[str]:
    return __all__
