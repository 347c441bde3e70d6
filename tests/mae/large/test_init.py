"""What ``mae.large`` exports."""

from __future__ import annotations

import pytest

import mae.large


def test_both_names_of_the_guide_are_exported() -> None:
    assert mae.large.MAEViTLarge.__module__ == "mae.large.mae_vit_large"
    assert callable(mae.large.mae_vit_large_patch16)
    assert {"MAEViTLarge", "mae_vit_large_patch16"} <= set(dir(mae.large))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="MAEViTHuge"):
        _ = mae.large.MAEViTHuge
