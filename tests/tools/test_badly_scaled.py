"""A model that is bad for int8 on purpose computes what it computed before."""

from pathlib import Path

import numpy as np
import pytest

from edgecnn.bundle.bundle import open_bundle
from edgecnn.bundle.weights import weighted_layers
from edgecnn.runtime.interpreter import Engine
from tools.badly_scaled import main

MODEL = Path(__file__).parents[2] / "models" / "mnist-lenet5" / "mnist-lenet5-float.tflite"


@pytest.mark.skipif(not MODEL.exists(), reason="no models/ in this checkout")
def test_the_same_function_from_very_different_channels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(MODEL), str(tmp_path / "bad.tflite"), "--decades", "2"])
    assert "channels between 4 pairs of layers" in capsys.readouterr().out
    before, after = MODEL.read_bytes(), (tmp_path / "bad.tflite").read_bytes()
    pictures = np.random.default_rng(0).uniform(0, 1, (4, 28, 28, 1)).astype(np.float32)
    expected, got = (np.stack([Engine(content).run(x) for x in pictures]) for content in (before, after))
    np.testing.assert_allclose(got, expected, atol=1e-4)
    assert open_bundle(after).labels == open_bundle(before).labels
    peaks = [np.abs(weighted_layers(content)[0].weights).max(axis=(1, 2, 3)) for content in (before, after)]
    assert peaks[1].max() / peaks[1].min() > 10 * peaks[0].max() / peaks[0].min()
