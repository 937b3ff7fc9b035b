"""Predictions for test systems, and how they depend on the number of hidden layers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from natal.emulator.perceptron import count_parameters
from natal.studies.planets.systems import features, tightest_spacing
from natal.studies.triples.classifier import Classifier
from natal.studies.triples.criterion import logistic
from natal.studies.triples.scores import brier

NO_ENCOUNTER = 2 * np.sqrt(3)
"""Spacing in mutual Hill radii above which two planets on circular orbits never meet (Gladman 1993)."""


def predict(classifier: Classifier, fit: Mapping[str, float], table: pd.DataFrame) -> pd.DataFrame:
    """The predictions that `natal.studies.triples.evaluation.score_report` compares.

    Args:
        classifier: The trained networks.
        fit: Intercept and slope of the odds fitted to ln of the tightest spacing.
        table: Systems with their label.

    Returns:
        One row a system; `criterion_ratio` is the tightest spacing over `NO_ENCOUNTER`.
    """
    x, spacing = features(table), tightest_spacing(table)
    return pd.DataFrame(
        {
            "outcome": table.unstable,
            "criterion_ratio": spacing / NO_ENCOUNTER,
            "network": classifier(x),
            "network_untempered": classifier(x, calibrated=False),
            "criterion": logistic(np.log(spacing), np.array([fit["intercept"], fit["slope"]])),
        }
    )


def depth_table(by_depth: Mapping[int, Classifier], validation: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Brier scores by the number of hidden layers.

    Args:
        by_depth: Classifiers by their number of hidden layers.
        validation: Validation systems.
        test: Test systems.

    Returns:
        Hidden layers, parameters of one network, Brier scores of both splits, and the standard error of the test's.
    """
    rows = []
    for depth, classifier in sorted(by_depth.items()):
        squares = (classifier(features(test)) - test.unstable.to_numpy()) ** 2
        rows.append(
            {
                "hidden_layers": depth,
                "parameters": count_parameters(classifier.networks) // len(classifier.networks.layers[0].weight),
                "brier_validation": brier(classifier(features(validation)), validation.unstable.to_numpy()),
                "brier_test": squares.mean(),
                "brier_test_se": squares.std(ddof=1) / np.sqrt(len(squares)),
            }
        )
    return pd.DataFrame(rows)
