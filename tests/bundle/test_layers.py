"""Names of layers: what the converter writes for Keras 3, for legacy Keras, and plain names of other makers."""

import re

import numpy as np
import pytest

from edgecnn.bundle.layers import layer_names, operations, scope_pattern, scopes_of, tensor_type
from edgecnn.errors import ModelError
from tests.models import Builder

Step = tuple[str, str, str]  # operation, name of its weights ("" for none), name of its output


def model(*steps: Step) -> bytes:
    builder = Builder(names=True)
    picture = last = builder.tensor("serving_default_image:0", (1, 4, 4, 3))
    for kind, weights, output in steps:
        inputs = [last]
        if weights:
            inputs.append(builder.tensor(weights, (1, 1, 1, 3), data=np.ones(3, np.float32).tobytes()))
        last = builder.tensor(output, (1, 4, 4, 3))
        builder.operator(kind, inputs, last)
    return builder.pack([picture], [last])


KERAS3 = model(
    ("CONV_2D", "net_1/conv2d_1/convolution", "net_1/activation_1/Relu;net_1/bn_1/batchnorm/add_1;net_1/conv2d_1/conv"),
    ("CONV_2D", "net_1/conv2d_1_2/convolution", "net_1/bn_1_2/batchnorm/add_1;net_1/conv2d_1_2/convolution1"),
    ("ADD", "", "net_1/activation_2_1/Relu;net_1/add_1/Add"),
    (
        "DEPTHWISE_CONV_2D",
        "net_1/bn_2_1/batchnorm/mul_1;net_1/deep_1/depthwise;net_1/pad_1/Pad",
        "net_1/bn_2_1/batchnorm/add_1;net_1/bn_2_1/batchnorm/mul_1",
    ),
    ("MUL", "", "net_1/Mul_3"),
    ("MEAN", "", "net_1/pooled_1/Mean"),
    ("FULLY_CONNECTED", "net_1/head_1/MatMul", "net_1/head_1/MatMul;net_1/head_1/BiasAdd"),
    ("SOFTMAX", "", "Identity"),
)
LEGACY = model(
    (
        "CONV_2D",
        "model_2/conv2d_1/Conv2D",
        "model_2/relu_1/Relu;model_2/conv2d_1/BiasAdd;model_2/conv2d_9/Conv2D",
    ),
    ("ADD", "", "model_2/activation_2/Relu;model_2/add_1/add"),
    ("CONV_2D", "outer/model_2/Conv_1/Conv2D", "outer/model_2/bn_1/FusedBatchNormV3;outer/model_2/Conv_1/Conv2D"),
    ("SOFTMAX", "", "StatefulPartitionedCall:0"),
)
SEPARABLE = model(
    ("DEPTHWISE_CONV_2D", "m/sep/separable_conv2d/depthwise", "m/sep/separable_conv2d/depthwise"),
    ("CONV_2D", "m/sep/separable_conv2d", "m/sep/Relu;m/sep/separable_conv2d"),
)
PLAIN = model(("CONV_2D", "w", "features"), ("CONV_2D", "v", "block/features:0"), ("RELU", "", ""))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (KERAS3, ["conv2d", "conv2d_1", "add", "deep", "Mul_3", "pooled", "head", "softmax"]),
        (LEGACY, ["conv2d_1", "add_1", "Conv_1", "softmax"]),
        (SEPARABLE, ["sep"]),
        (PLAIN, ["features", "relu_2"]),
    ],
)
def test_layers_have_the_names_they_have_in_keras(content: bytes, expected: list[str]) -> None:
    assert layer_names(content) == expected


def test_a_layer_of_several_operations_gives_all_their_scopes() -> None:
    scopes = scopes_of(SEPARABLE, ["sep"])
    assert scopes == ("m/sep/separable_conv2d/depthwise;", "m/sep/Relu;m/sep/separable_conv2d;")


def test_a_pattern_matches_its_scopes_only() -> None:
    found = operations(KERAS3)
    for step in found:
        pattern = scope_pattern([step.scope])
        assert [other for other in found if re.search(pattern, other.scope)] == [step]


def test_an_unknown_layer_is_named_with_those_that_are_near() -> None:
    with pytest.raises(ModelError, match=r"got 'conv2d_11'.*it has conv2d_1, conv2d"):
        scopes_of(KERAS3, ["conv2d", "conv2d_11"])


def test_operations_know_their_tensors_and_weights() -> None:
    first, second = operations(KERAS3)[:2]
    assert (first.kind, first.weighted, first.activation) == ("CONV_2D", True, "NONE")
    assert second.inputs[0] == first.outputs[0]
    assert not operations(KERAS3)[2].weighted


def test_the_type_of_a_tensor_is_read() -> None:
    builder = Builder(names=True)
    picture = builder.tensor("image", (1, 4, 4, 3), dtype="int8", scales=[0.5], zero_points=[3])
    weights = builder.tensor("weights", (3, 1), dtype="int8", data=b"abc", scales=[0.5, 0.25, 1.0])
    output = builder.tensor("output", (1, 3))
    builder.operator("FULLY_CONNECTED", [picture, weights], output)
    content = builder.pack([picture], [output])
    assert tensor_type(content, picture) == ("int8", 0.5, 3)
    assert tensor_type(content, output) == ("float32", 0.0, 0)
    with pytest.raises(ModelError, match="expected a tensor of one scale, got 3"):
        tensor_type(content, weights)
