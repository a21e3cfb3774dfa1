"""What every test shares: the folder of real data, and quiet TensorFlow."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it once, when it is imported

SHARED_DATA = Path(os.environ.get("EDGECNN_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")

# How long an example takes depends on what else the machine does; benchmarks are under tools/.
settings.register_profile("edgecnn", deadline=None)
settings.load_profile("edgecnn")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for the fixture, so that `-m "not shared_data"` leaves it out; skip it without data."""
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("shared_data")
        if item.get_closest_marker("shared_data") and not SHARED_DATA.is_dir():
            item.add_marker(pytest.mark.skip(reason=f"no real data in {SHARED_DATA}; set EDGECNN_SHARED_DATA"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real models, pictures and archives: EDGECNN_SHARED_DATA, else ../shared/data beside the repository."""
    return SHARED_DATA
