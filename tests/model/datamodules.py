"""Cells that come from a data module of the user's own, as from a store on disk."""

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, default_collate


class Rows(torch.utils.data.Dataset):
    def __init__(self, tensors):
        self.tensors = tensors

    def __len__(self):
        return len(self.tensors["X"])

    def __getitem__(self, row):
        return {name: values[row] for name, values in self.tensors.items()}


class OwnData(LightningDataModule):
    """What scvi-tools asks of a data module, and nothing of AnnData.

    ``registry`` has the layout of scvi-tools' own modules, which know no condition.
    """

    def __init__(self, adata, *, labels=()):
        super().__init__()
        batch = adata.obs["batch"].astype("category").cat
        codes = np.zeros(adata.n_obs)
        if len(labels):
            names = [*labels, "unknown"]
            codes = np.array([names.index(str(name)) for name in adata.obs["labels"]])
        self.labels = list(labels)
        self.tensors = {
            "X": torch.as_tensor(adata.X.toarray(), dtype=torch.float32),
            "batch": torch.as_tensor(batch.codes.to_numpy().copy())[:, None].long(),
            "labels": torch.as_tensor(codes)[:, None].long(),
        }
        self.batches, self.genes = batch.categories.to_numpy(), adata.var_names.to_numpy()
        self.n_obs, self.n_vars = adata.shape

    @property
    def registry(self):
        names = np.array([*self.labels, "unknown"] if self.labels else ["0"])
        stats = {"n_vars": self.n_vars, "n_cells": self.n_obs}
        unlabeled = {"unlabeled_category": "unknown"} if self.labels else {}
        return {
            "scvi_version": "1.4.2",
            "model_name": "any",
            "setup_args": {
                "layer": None,
                "batch_key": "batch",
                "labels_key": "labels" if self.labels else None,
                **unlabeled,
                "size_factor_key": None,
                "categorical_covariate_keys": None,
                "continuous_covariate_keys": None,
            },
            "field_registries": {
                "X": {
                    "data_registry": {"attr_name": "X", "attr_key": None},
                    "state_registry": {
                        "n_obs": self.n_obs,
                        "n_vars": self.n_vars,
                        "column_names": self.genes,
                    },
                    "summary_stats": stats,
                },
                "batch": {
                    "data_registry": {"attr_name": "obs", "attr_key": "_scvi_batch"},
                    "state_registry": {
                        "categorical_mapping": self.batches,
                        "original_key": "batch",
                    },
                    "summary_stats": {"n_batch": len(self.batches)},
                },
                "labels": {
                    "data_registry": {"attr_name": "obs", "attr_key": "_scvi_labels"},
                    "state_registry": {
                        "categorical_mapping": names,
                        "original_key": "labels",
                        **unlabeled,
                    },
                    "summary_stats": {"n_labels": len(names)},
                },
                "size_factor": {"data_registry": {}, "state_registry": {}, "summary_stats": {}},
                "extra_categorical_covs": {
                    "data_registry": {},
                    "state_registry": {},
                    "summary_stats": {"n_extra_categorical_covs": 0},
                },
                "extra_continuous_covs": {
                    "data_registry": {},
                    "state_registry": {},
                    "summary_stats": {"n_extra_continuous_covs": 0},
                },
            },
            "setup_method_name": "setup_datamodule",
        }

    def train_dataloader(self):
        return DataLoader(Rows(self.tensors), 64, shuffle=True, collate_fn=default_collate)

    def val_dataloader(self):
        return DataLoader(Rows(self.tensors), 64)

    def inference_dataloader(self):
        return DataLoader(Rows(self.tensors), 64)
