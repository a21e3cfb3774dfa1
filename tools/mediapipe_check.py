"""Check a bundle against MediaPipe, an independent reader of its labels, normalization and quantization.

    python tools/mediapipe_check.py BUNDLE IMAGES_DIR [--venv DIR] [--tolerance 0.02]

Both programs classify every picture of a folder. MediaPipe (half a gigabyte) lives in a virtual environment of its
own, which is made on first use. It resizes with corners laid on corners; a bundle converted with `--preprocess
…,corner` does the same, others read other pixels and differ on photos that are reduced many times.
Exits 1 when a top class differs or a score differs by more than the tolerance.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MEDIAPIPE = "mediapipe==1.2.2"
DEFAULT_VENV = Path.home() / ".cache" / "edgecnn" / "mediapipe-venv"

# Runs in MediaPipe's environment, where edgecnn is not installed: model and .npy pictures in, JSON scores out.
CHILD = """
import json, sys
import mediapipe, numpy
from mediapipe.tasks.python import BaseOptions, vision

model, output, *pictures = sys.argv[1:]
scores = []
try:
    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=model))
    with vision.ImageClassifier.create_from_options(options) as classifier:
        for path in pictures:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=numpy.load(path))
            found = classifier.classify(image).classifications[0].categories
            scores.append({category.category_name: category.score for category in found})
    result = {"scores": scores}
except (ValueError, RuntimeError, NotImplementedError) as exc:
    result = {"error": " ".join(str(exc).split())}
with open(output, "w", encoding="utf-8") as file:
    json.dump(result, file)
"""

Scores = dict[str, float]


class CheckError(Exception):
    """The check cannot be made."""


@dataclass(frozen=True)
class Comparison:
    """Scores of one picture by label.

    Attributes:
        name: of the picture.
        theirs: MediaPipe's.
        ours: edgecnn's.
    """

    name: str
    theirs: Scores
    ours: Scores

    def agrees(self, tolerance: float) -> bool:
        """Whether top class and scores are the same."""
        return same_top(self.ours, self.theirs) and difference(self.ours, self.theirs) <= tolerance


def same_top(ours: Scores, theirs: Scores) -> bool:
    """Whether our best class is best there too; of equal scores, which 8-bit outputs have, any is best."""
    return theirs.get(top(ours), -1.0) >= max(theirs.values()) - 1e-6


def top(scores: Scores) -> str:
    """The label with the highest score."""
    return max(scores, key=scores.__getitem__)


def difference(ours: Scores, theirs: Scores) -> float:
    """Largest difference of a score; a label that one side lacks counts as score 0 there."""
    return max(abs(ours.get(label, 0.0) - theirs.get(label, 0.0)) for label in ours.keys() | theirs.keys())


def mediapipe_scores(model: Path, pictures: list[NDArray[np.uint8]], python: Path) -> list[Scores]:
    """MediaPipe's scores of RGB pictures, by a child process.

    Raises:
        CheckError: MediaPipe refuses the model, or does not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{index}.npy" for index in range(len(pictures))]
        for path, picture in zip(paths, pictures, strict=True):
            np.save(path, picture)
        output = Path(folder) / "scores.json"
        command = [str(python), "-c", CHILD, str(model), str(output), *map(str, paths)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if not output.exists():
            raise CheckError(f"MediaPipe does not run in {python}: {run.stderr.strip()[-500:]}")
        result = json.loads(output.read_text("utf-8"))
    if "error" in result:
        raise CheckError(f"MediaPipe cannot run this bundle: {result['error']}")
    return [dict(scores) for scores in result["scores"]]


def compare(model: Path, folder: Path, python: Path) -> list[Comparison]:
    """Both programs on every picture of a folder.

    Raises:
        CheckError: there is no picture, or MediaPipe cannot run the bundle.
        EdgecnnError: edgecnn cannot use the bundle, or a picture.
    """
    from edgecnn import Classifier
    from edgecnn.data.images import IMAGE_SUFFIXES, read_image

    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise CheckError(f"expected pictures in {folder}, found none")
    classifier = Classifier(model)
    pictures = [np.ascontiguousarray(read_image(path)[:, :, ::-1]) for path in files]

    def scores(picture: NDArray[np.uint8]) -> Scores:
        found = classifier.classify(picture, color="rgb", top_k=len(classifier.labels))
        return {item.label: item.score for item in found}

    theirs = mediapipe_scores(model.resolve(), pictures, python)
    return [
        Comparison(path.name, other, scores(picture))
        for path, picture, other in zip(files, pictures, theirs, strict=True)
    ]


def environment(folder: Path) -> Path:
    """The Python of MediaPipe's virtual environment, which is made when it is missing."""
    python = folder / "bin" / "python"
    if not any(folder.glob("lib/python*/site-packages/mediapipe")):
        print(f"Installing {MEDIAPIPE} in {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", MEDIAPIPE], check=True)
    return python


def report(results: list[Comparison], tolerance: float) -> str:
    """The table, and what it comes to."""
    line = "{:<26} {:<14} {:>7}  {:<14} {:>7} {:>7} {}"
    rows = [line.format("picture", "MediaPipe", "score", "edgecnn", "score", "differ", "")]
    for item in results:
        ours, theirs = top(item.ours), top(item.theirs)
        numbers = (f"{item.theirs[theirs]:.4f}", f"{item.ours[ours]:.4f}", f"{difference(item.ours, item.theirs):.4f}")
        verdict = "" if item.agrees(tolerance) else "DIFFERS"
        cells = (item.name[:26], theirs[:14], numbers[0], ours[:14], numbers[1], numbers[2], verdict)
        rows.append(line.format(*cells).rstrip())
    largest = max(difference(item.ours, item.theirs) for item in results)
    differ = sum(not item.agrees(tolerance) for item in results)
    rows.append(f"{len(results)} pictures, {differ} differ (tolerance {tolerance}), largest difference {largest:.4f}")
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("images", type=Path, metavar="IMAGES_DIR")
    parser.add_argument("--venv", type=Path, default=DEFAULT_VENV, metavar="DIR", help="MediaPipe's environment")
    parser.add_argument("--tolerance", type=float, default=0.02, help="largest difference of a score (default 0.02)")
    options: Any = parser.parse_args(arguments)
    from edgecnn.errors import EdgecnnError

    try:
        results = compare(options.bundle, options.images, environment(options.venv))
    except (CheckError, EdgecnnError, OSError, subprocess.CalledProcessError) as exc:
        print(f"Error: {exc}", file=sys.stderr)
        return 1
    print(report(results, options.tolerance))
    return 0 if all(item.agrees(options.tolerance) for item in results) else 1


if __name__ == "__main__":
    sys.exit(main())
