"""Check a bundle against MediaPipe, an independent reader of its labels, normalization and quantization.

    python tools/mediapipe_check.py BUNDLE IMAGES_DIR [--venv DIR] [--tolerance 0.02]

Both programs classify every picture of a folder. MediaPipe (half a gigabyte) lives in a virtual environment of its
own, which is made on first use. It resizes pictures in its own way, so edgecnn is given each picture twice: sampled
as MediaPipe does, which must give the same scores, and as it is, which shows what the resizing alone changes.
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
        ours: edgecnn's on the picture as MediaPipe samples it.
        own: edgecnn's on the picture as it is.
    """

    name: str
    theirs: Scores
    ours: Scores
    own: Scores

    def agrees(self, tolerance: float) -> bool:
        """Whether top class and scores are the same when both see the same pixels."""
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


def mediapipe_sampling(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """`picture` (rows, columns, channels) resized to (height, width, channels) as MediaPipe 1.2.2 does it on a CPU.

    It warps with corners laid on corners: output pixel x reads at x * columns / width, without the half pixel by
    which other programs aim at pixel centres. Fractions are rounded to 1/32, as OpenCV's warp does.
    """
    rows, columns = picture.shape[:2]
    left, right, across = _taps(width, columns)
    upper, lower, down = _taps(height, rows)
    values, x, y = picture.astype(np.int64), across[None, :, None], down[:, None, None]
    above = values[upper][:, left] * (32 - x) + values[upper][:, right] * x
    below = values[lower][:, left] * (32 - x) + values[lower][:, right] * x
    return np.asarray((above * (32 - y) + below * y + 512) // 1024, np.uint8)


def _taps(size: int, source: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Both source indices of each output index, and the weight of the second in 1/32."""
    position = np.rint(np.arange(size) * (source / size) * 32).astype(np.int64)
    first, second = (np.minimum(position // 32 + step, source - 1) for step in (0, 1))
    return first, second, position % 32


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
    wanted = classifier.preprocess
    pictures = [np.ascontiguousarray(read_image(path)[:, :, ::-1]) for path in files]

    def scores(picture: NDArray[np.uint8]) -> Scores:
        found = classifier.classify(picture, color="rgb", top_k=len(classifier.labels))
        return {item.label: item.score for item in found}

    theirs = mediapipe_scores(model.resolve(), pictures, python)
    return [
        Comparison(path.name, other, scores(mediapipe_sampling(picture, wanted.width, wanted.height)), scores(picture))
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
    line = "{:<28} {:<16} {:>7}  {:<16} {:>7} {:>7}  {:<16} {:>7}  {}"
    rows = [line.format("picture", "MediaPipe", "score", "edgecnn", "score", "differ", "own resize", "score", "")]
    for item in results:
        ours, theirs, own = top(item.ours), top(item.theirs), top(item.own)
        numbers = (f"{item.theirs[theirs]:.4f}", f"{item.ours[ours]:.4f}", f"{difference(item.ours, item.theirs):.4f}")
        verdict = "" if item.agrees(tolerance) else "DIFFERS"
        rows.append(
            line.format(
                item.name[:28], theirs[:16], numbers[0], ours[:16], numbers[1], numbers[2], own[:16],
                f"{item.own[own]:.4f}", verdict,
            ).rstrip()
        )  # fmt: skip
    same = max(difference(item.ours, item.theirs) for item in results)
    resized = sorted(difference(item.own, item.theirs) for item in results)
    changed = sum(not same_top(item.own, item.theirs) for item in results)
    differ = sum(not item.agrees(tolerance) for item in results)
    rows += [
        f"{len(results)} pictures, {differ} differ (tolerance {tolerance})",
        f"same sampling: largest difference {same:.4f}",
        f"own resizing: median difference {resized[len(resized) // 2]:.4f}, largest {resized[-1]:.4f}, "
        f"{changed} other top classes",
    ]
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
