"""Shapes are checked at run time in every test; fixtures are small and made once."""

from jaxtyping import install_import_hook

# before the first import of mixvi: the hook instruments modules as they are loaded
install_import_hook(
    ("mixvi.distributions", "mixvi.priors", "mixvi.module"), "beartype.beartype"
).__enter__()
