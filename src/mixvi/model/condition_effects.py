"""Which clusters respond to a condition, and which genes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

from .shifts import ShiftMixin

__all__ = ["ConditionEffects", "ConditionEffectsMixin"]


@dataclass(frozen=True)
class ConditionEffects:
    """What a condition does to every cluster.

    Attributes
    ----------
    clusters
        One row per cluster: ``n_source`` and ``n_target`` cells; ``measured``, whether there are
        enough of both; ``effect``, the root mean square over genes of the change of expression on
        the log scale, and its ``std``; ``shift``, the length of the latent shift in its standard
        errors per dimension, about 1 where nothing moves.
    genes
        One row per (cluster, gene): expression in the ``source`` and the ``target``, its change
        ``effect``, the ``std`` of that, and ``false_sign``, the share of the draws in which the
        change has the other sign (0 to .5; small where the direction is sure).
    """

    clusters: pd.DataFrame
    genes: pd.DataFrame

    def __repr__(self) -> str:
        n_genes = self.genes.index.get_level_values(-1).nunique()
        n_measured = int(self.clusters["measured"].sum())
        return (
            f"ConditionEffects({len(self.clusters)} clusters, {n_measured} measured in both "
            f"conditions, {n_genes} genes)"
        )


class ConditionEffectsMixin(ShiftMixin):
    """The shifts of the clusters as tables."""

    def get_condition_effects(
        self,
        source: Mapping[str, str],
        target: Mapping[str, str],
        *,
        reference: AnnData | None = None,
        n_samples: int = 200,
    ) -> ConditionEffects:
        r"""Which clusters respond to a condition, and which genes, with their uncertainty.

        .. math:: e_k = f(m_k + \hat\delta_k, c') - f(m_k, c)

        with f the decoded log(1 + counts per 10,000) (the expression itself for likelihoods of real
        data), m_k the mean of the cluster's source cells and :math:`\hat\delta_k` its shift, shrunk
        to that of similar clusters as in :meth:`predict_counterfactual`. The uncertainty is that
        of the shift: draws from its posterior given the finite number of cells, and for a cluster
        that was not seen in both conditions given how well others predict each other. Errors of
        the decoder, and differences between donors, are not in it.

        Parameters
        ----------
        source, target
            Registered ``obs`` columns and categories, the same columns in both, for example
            ``{"stim": "control"}`` and ``{"stim": "stimulated"}``.
        reference
            Cells to learn from; by default those that the model was made with.
        n_samples
            Draws of the shifts.

        Raises
        ------
        KeyError
            If a column was not registered.
        ValueError
            If a category was not in the training data, the columns differ, or no cluster has cells
            in both.
        """
        codes, other = self._target_codes(target), self._target_codes(source)
        if set(codes) != set(other) or codes == other:
            raise ValueError(
                "expected two categories of the same columns, found "
                f"source={dict(source)!r} and target={dict(target)!r}; name both for each column"
            )
        if n_samples < 2:
            raise ValueError(f"expected n_samples of at least 2, found {n_samples}")
        origin = {key: other[key] for key in codes}
        found = self._cluster_shifts(self._reference(reference), origin, codes)
        contexts = self._moved(found.contexts, codes)
        before = self._log_profiles(found.centers, found.contexts, found.share)
        after = self._log_profiles(found.centers + found.shift.mean, contexts, found.share)
        rng = np.random.default_rng(0)
        effect = after - before
        sums, squares, other_sign = np.zeros((3, *effect.shape))
        size = []
        for _ in range(n_samples):
            noise = rng.standard_normal(found.shift.mean.shape) * found.shift.variance**0.5
            z = found.centers + found.shift.mean + noise
            drawn = self._log_profiles(z, contexts, found.share) - before
            sums += drawn
            squares += drawn**2
            size.append((drawn**2).mean(1) ** 0.5)
            other_sign += np.sign(drawn) != np.sign(effect)
        std = np.sqrt((squares / n_samples - (sums / n_samples) ** 2).clip(min=0))
        names = pd.Index(self._shifted_clusters(), name="cluster")
        error = np.where(found.measured.seen[:, None], found.measured.variance, np.nan)
        clusters = pd.DataFrame(
            {
                "n_source": found.n_source,
                "n_target": found.n_target,
                "measured": found.measured.seen,
                "effect": (effect**2).mean(1) ** 0.5,
                "std": np.std(size, 0),
                "shift": (found.measured.mean**2 / error).mean(1) ** 0.5,
            },
            index=names,
        )
        genes = pd.DataFrame(
            {
                "source": before.ravel(),
                "target": after.ravel(),
                "effect": effect.ravel(),
                "std": std.ravel(),
                "false_sign": np.minimum(other_sign / n_samples, 0.5).ravel(),
            },
            index=pd.MultiIndex.from_product(
                [names, self._gene_names()], names=["cluster", "gene"]
            ),
        )
        return ConditionEffects(clusters, genes)
