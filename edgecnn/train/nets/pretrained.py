"""Networks of keras.applications, here without weights: their layers, our input and our last layer."""

from typing import Any

from edgecnn.train.nets.parts import average_recent, classifier, picture, smaller_side


def application(
    shape: tuple[int, int, int], units: int, *, dropout: float, network: str, smallest: int = 32, **options: Any
) -> Any:
    """A network of keras.applications up to its last map, the mean of that, dropout and logits.

    EfficientNet's stochastic depth stays as it is, whatever the rate of dropout.

    Args:
        network: its name in keras.applications.
        smallest: side in pixels below which it refuses pictures; smaller ones are enlarged in front of it, bilinearly
            and by a whole factor.
        options: further arguments for it.
    """
    import keras

    image = picture(shape)
    x = image
    if smaller_side(x) < smallest:
        x = keras.layers.UpSampling2D(-(-smallest // smaller_side(x)), interpolation="bilinear")(x)
    make = getattr(keras.applications, network)
    backbone = _without_preprocessing(make(input_tensor=x, include_top=False, weights=None, pooling="avg", **options))
    average_recent(backbone)
    return classifier(backbone.inputs[0], backbone.outputs[0], units, dropout)


def _without_preprocessing(backbone: Any) -> Any:
    """The same network for pictures that are normalized already: EfficientNet brings layers that do it again."""
    import keras

    kinds = (keras.layers.Rescaling, keras.layers.Normalization)
    if not any(isinstance(layer, kinds) for layer in backbone.layers):
        return backbone

    def call(layer: Any, *arguments: Any, **keywords: Any) -> Any:
        return arguments[0] if isinstance(layer, kinds) else layer(*arguments, **keywords)

    return keras.models.clone_model(backbone, call_function=call)
