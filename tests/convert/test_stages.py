"""Stages as options and as tables of a recipe."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgecnn.config import Preprocess
from edgecnn.convert.options import ConvertConfig
from edgecnn.convert.recipe import read_recipe, write_recipe
from edgecnn.convert.stages import STAGES, ChannelStage, ClusterStage, MagnitudeStage, QatStage, Schooling, read_stage
from edgecnn.errors import EdgecnnError
from edgecnn.train.augment import parse_augment

PREPROCESS = Preprocess(32, 32, mean=(127.5,), std=(127.5,))


@pytest.mark.parametrize("kind", STAGES.values())
def test_a_stage_is_read_from_its_own_table(kind: Any) -> None:
    stage = kind(epochs=7)
    assert read_stage(stage.to_dict()) == stage


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "expected technique to be one of blocks, channel, magnitude, cluster, qat, got None"),
        ({"technique": "channel", "sparsty": 0.5}, "expected options of channel among .*, got 'sparsty'"),
        ({"technique": "channel", "sparsity": 0.5, "macs": 0.5}, "expected sparsity or macs for channel pruning"),
        ({"technique": "channel", "importance": "luck"}, "expected importance to be one of"),
        ({"technique": "channel", "macs": "half"}, "expected a value of type float for macs of channel, got 'half'"),
        ({"technique": "channel", "steps": 1.5}, "expected a value of type int for steps of channel, got 1.5"),
        ({"technique": "channel", "everywhere": 1}, "for everywhere of channel, got 1"),
        ({"technique": "magnitude", "sparsity": 1.5}, "expected sparsity from 0 to 0.99, got 1.5"),
        ({"technique": "cluster", "clusters": 1}, "expected clusters from 2 to 256, got 1"),
        ({"technique": "qat", "epochs": True}, "for epochs of qat, got True"),
    ],
)
def test_what_cannot_be_is_told(values: dict[str, Any], message: str) -> None:
    with pytest.raises(EdgecnnError, match=message):
        read_stage(values)


stages = st.lists(
    st.one_of(
        st.builds(ChannelStage, epochs=st.integers(0, 9), macs=st.floats(0.01, 1), steps=st.integers(1, 9)),
        st.builds(ChannelStage, sparsity=st.floats(0, 0.99), everywhere=st.booleans()),
        st.builds(MagnitudeStage, learning_rate=st.floats(1e-9, 1), sparsity=st.floats(0, 0.99)),
        st.builds(ClusterStage, clusters=st.integers(2, 256)),
        st.builds(QatStage, epochs=st.integers(0, 100)),
    ),
    max_size=4,
)
configs = st.builds(
    ConvertConfig,
    quantize=st.sampled_from(["int8", "auto"]),
    max_drop=st.none() | st.floats(0, 100),
    labels=st.none() | st.lists(st.text(), min_size=1, max_size=3).map(tuple),
    stages=stages.map(lambda drawn: tuple(sorted(drawn, key=lambda stage: list(STAGES).index(stage.technique)))),
    schooling=st.builds(
        Schooling,
        batch_size=st.integers(1, 512),
        augment=st.none() | st.just(parse_augment("light,flip=no,shift=0.3")),
        teacher_weight=st.floats(0, 1),
    ),
    calibrate_confidence=st.booleans(),
    keep_right=st.floats(0.01, 1),
    seed=st.integers(0, 1 << 40),
)


@given(config=configs)
@example(config=ConvertConfig(labels=('\x7f \t\n\\"', "é")))
def test_a_recipe_is_read_back_to_what_wrote_it(
    config: ConvertConfig, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("recipe") / "r.toml"
    path.write_text(write_recipe(config, PREPROCESS), "utf-8")
    read = ConvertConfig(**read_recipe(path))
    schooling = config.schooling if config.stages else Schooling()
    assert read == replace(config, io=config.io_type, preprocess=read.preprocess, schooling=schooling)
    assert read.preprocess.over(Preprocess(8, 8)) == PREPROCESS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[convert\n", "is no recipe: "),
        ("[conv]\n", "expected tables among convert, finetune, stage, got 'conv'"),
        ("[convert]\nquantise = 'int8'\n", r"expected options of \[convert\] among .*, got 'quantise'"),
        ("[convert]\nallow_unsafe = true\n", "got 'allow_unsafe'"),
        ("[finetune]\nbatch = 3\n", r"expected options of \[finetune\] among .*, got 'batch'"),
        ("[convert]\npreprocess = 'sepia'\n", "cannot read 'sepia'"),
        ("[[stage]]\ntechnique = 'magic'\n", "got 'magic'"),
    ],
)
def test_a_wrong_recipe_names_its_file_and_the_mistake(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(EdgecnnError, match=message) as failure:
        read_recipe(path)
    assert str(path) in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, match=r"cannot read the recipe .*: No such file"):
        read_recipe(tmp_path / "none.toml")
