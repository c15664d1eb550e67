"""The demonstration as a whole takes minutes; what can be tested quickly is that it does not begin in vain."""

import pytest

from neuroctl.errors import NeuroctlError
from neuroctl.launch import demo


@pytest.mark.parametrize("option", ["episodes", "steps"])
def test_a_number_that_means_nothing_is_refused_before_anything_is_recorded(option, tmp_path):
    with pytest.raises(NeuroctlError, match=f"{option} must be an integer >= 1, got 0"):
        demo.main([f"--{option}", "0", "--out", str(tmp_path / "demo")])
    assert list(tmp_path.iterdir()) == []
