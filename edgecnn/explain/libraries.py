"""LIME and SHAP through the libraries of their authors: maps of any classifier that can be asked about pictures."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import EdgecnnError, MissingExtraError
from edgecnn.explain.maps import Map
from edgecnn.quiet import quiet

# From uint8 RGB pictures (n, height, width, 3) at the model's input size to float32 probabilities (n, classes).
Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

NAMES: Final = ("lime", "shap")

_SEGMENTS = 50  # superpixels of LIME, about
_BLUR = 8  # SHAP hides a part by blurring the picture over a square of this share of its shorter side
_BATCH = 32  # pictures at a time


def explain_with(
    name: str, predict: Predict, picture: NDArray[np.uint8], *, index: int | None, samples: int, seed: int
) -> Map:
    """What of a picture speaks for a class, found by hiding parts of it.

    LIME fits a linear model of superpixels (SLICO), each replaced by its mean colour or not. SHAP halves the picture
    again and again and shares the class's score out between the halves (Owen values); what is hidden is blurred.

    Sources: M. Ribeiro, S. Singh, C. Guestrin, "Why Should I Trust You?", KDD 2016; S. Lundberg, S. Lee, "A Unified
    Approach to Interpreting Model Predictions", NeurIPS 2017; R. Achanta et al., "SLIC Superpixels Compared to
    State-of-the-Art Superpixel Methods", TPAMI 2012.

    Args:
        name: "lime" or "shap".
        predict: asked about some 32 pictures at a time.
        picture: uint8 (height, width, 3) RGB at the model's input size.
        index: the class; None for the most probable one.
        samples: how many pictures the classifier is asked about; SHAP takes some more.
        seed: of LIME's random choices; SHAP makes none.

    Returns:
        A map whose values add to the probability where they are above 0: of LIME what hiding the whole superpixel
        costs, of SHAP the pixel's own share.

    Raises:
        EdgecnnError: the name or the class is not known.
        MissingExtraError: the library is not installed.
    """
    if name not in NAMES:
        raise EdgecnnError(f"expected a method of {', '.join(NAMES)}, got {name!r}")
    whole = predict(picture[None])[0]
    chosen = int(np.argmax(whole)) if index is None else index
    if not 0 <= chosen < len(whole):
        raise EdgecnnError(f"expected a class from 0 to {len(whole) - 1}, got {chosen}")
    values = (
        _lime(predict, picture, chosen, samples, seed) if name == "lime" else _shap(predict, picture, chosen, samples)
    )
    return Map(name, values.astype(np.float32), chosen, float(whole[chosen]))


def _lime(predict: Predict, picture: NDArray[np.uint8], index: int, samples: int, seed: int) -> NDArray[Any]:
    try:
        with quiet():  # both libraries, and what they import, use what newer packages call old
            from lime.lime_image import LimeImageExplainer
            from skimage.segmentation import slic
    except ImportError as exc:
        raise MissingExtraError("lime", "explain") from exc
    with quiet():  # it draws a bar
        found = LimeImageExplainer(random_state=seed).explain_instance(
            picture,
            predict,
            labels=(index,),
            top_labels=None,
            num_samples=samples,
            batch_size=_BATCH,
            # plain SLIC makes one superpixel of a noisy picture
            segmentation_fn=lambda rgb: slic(rgb, n_segments=_SEGMENTS, slic_zero=True, start_label=0),
        )
    weights = np.zeros(int(found.segments.max()) + 1)
    for segment, weight in found.local_exp[index]:
        weights[segment] = weight
    return np.asarray(weights[found.segments])


def _shap(predict: Predict, picture: NDArray[np.uint8], index: int, samples: int) -> NDArray[Any]:
    try:
        with quiet():
            import shap
    except ImportError as exc:
        raise MissingExtraError("shap", "explain") from exc
    side = max(2, min(picture.shape[:2]) // _BLUR)

    def score(pictures: NDArray[Any]) -> NDArray[np.float32]:
        return np.asarray(predict(np.asarray(pictures, np.uint8))[:, index])

    with quiet():
        explainer = shap.PartitionExplainer(score, shap.maskers.Image(f"blur({side},{side})", picture.shape))
        found = explainer(picture[None], max_evals=samples, batch_size=_BATCH, silent=True)
    return np.asarray(np.asarray(found.values, np.float64)[0].reshape(picture.shape).sum(axis=-1))
