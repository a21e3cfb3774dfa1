"""edgecnn: from a Keras image classifier to a small sealed `.tflite`, a light runtime, and proof of what it cost.

    import edgecnn
    classifier = edgecnn.Classifier("model.tflite")
    label, index, score = classifier.classify(frame)[0]

Names are loaded when first used, so that `import edgecnn` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "Camera": "edgecnn.camera.camera",
    "Classifier": "edgecnn.runtime.classifier",
    "Prediction": "edgecnn.runtime.classifier",
    "Preprocess": "edgecnn.config",
    "EdgecnnError": "edgecnn.errors",
    "EventLog": "edgecnn.sinks.events",
    "Observation": "edgecnn.camera.observation",
    "Recording": "edgecnn.sinks.recording",
    "UncertainPictures": "edgecnn.sinks.uncertain",
    "WebServer": "edgecnn.web.server",
    "ConvertConfig": "edgecnn.convert.options",
    "ConvertResult": "edgecnn.convert.result",
    "ChannelConfig": "edgecnn.compress.channels.prune",
    "Target": "edgecnn.compress.channels.selection",
    "TrainConfig": "edgecnn.train.options",
    "TrainResult": "edgecnn.train.result",
    "benchmark": "edgecnn.measure.benchmark",
    "choose_threads": "edgecnn.camera.threads",
    "convert_model": "edgecnn.convert.pipeline",
    "evaluate": "edgecnn.measure.evaluate",
    "open_bundle": "edgecnn.bundle.bundle",
    "open_dataset": "edgecnn.data.dataset",
    "parse_spec": "edgecnn.spec",
    "prune_channels": "edgecnn.compress.channels.prune",
    "read_image": "edgecnn.data.images",
    "train_model": "edgecnn.train.trainer",
}
__all__ = [*sorted(_EXPORTS), "__version__"]

if TYPE_CHECKING:
    from edgecnn.bundle.bundle import open_bundle as open_bundle
    from edgecnn.camera.camera import Camera as Camera
    from edgecnn.camera.observation import Observation as Observation
    from edgecnn.camera.threads import choose_threads as choose_threads
    from edgecnn.compress.channels.prune import ChannelConfig as ChannelConfig
    from edgecnn.compress.channels.prune import prune_channels as prune_channels
    from edgecnn.compress.channels.selection import Target as Target
    from edgecnn.config import Preprocess as Preprocess
    from edgecnn.convert.options import ConvertConfig as ConvertConfig
    from edgecnn.convert.pipeline import convert_model as convert_model
    from edgecnn.convert.result import ConvertResult as ConvertResult
    from edgecnn.data.dataset import open_dataset as open_dataset
    from edgecnn.data.images import read_image as read_image
    from edgecnn.errors import EdgecnnError as EdgecnnError
    from edgecnn.measure.benchmark import benchmark as benchmark
    from edgecnn.measure.evaluate import evaluate as evaluate
    from edgecnn.runtime.classifier import Classifier as Classifier
    from edgecnn.runtime.classifier import Prediction as Prediction
    from edgecnn.sinks.events import EventLog as EventLog
    from edgecnn.sinks.recording import Recording as Recording
    from edgecnn.sinks.uncertain import UncertainPictures as UncertainPictures
    from edgecnn.spec import parse_spec as parse_spec
    from edgecnn.train.options import TrainConfig as TrainConfig
    from edgecnn.train.result import TrainResult as TrainResult
    from edgecnn.train.trainer import train_model as train_model
    from edgecnn.web.server import WebServer as WebServer


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'edgecnn' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return __all__
