"""Names of groups, as the simulators give them."""

import numpy as np
import pandas as pd

__all__ = ["named"]


def named(codes: np.ndarray, prefix: str, n: int) -> pd.api.extensions.ExtensionArray:
    """Codes 0 to n − 1 as a categorical ``{prefix}_{code}``, in the order of the codes."""
    names = [f"{prefix}_{i}" for i in range(n)]
    return pd.Series(np.array(names)[codes], dtype=pd.CategoricalDtype(names)).array
