"""Every private import of scvi-tools and every difference between its versions, and nowhere else.

Supported: scvi-tools 1.4.2 (the last for Python 3.11) up to, and not including, 1.7.
"""

import rich.pretty  # noqa: F401  scvi-tools 1.4.2 uses it unimported; rich >= 15 no longer loads it
from scvi.data._constants import ADATA_MINIFY_TYPE
from scvi.data._utils import _get_adata_minify_type as get_minify_type
from scvi.data._utils import _validate_adata_dataloader_input as validate_adata_or_dataloader
from scvi.model._utils import parse_device_args
from scvi.model._utils import use_distributed_sampler as is_distributed
from scvi.module._constants import MODULE_KEYS
from scvi.train._logger import SimpleLogger

__all__ = [
    "ADATA_MINIFY_TYPE",
    "MODULE_KEYS",
    "SimpleLogger",
    "get_minify_type",
    "is_distributed",
    "parse_device_args",
    "validate_adata_or_dataloader",
]
