"""Tests; a package, so that no other one that is called so is taken for it."""
