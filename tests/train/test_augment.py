"""What may happen to a training picture: the text, the ranges, and what is drawn from the generator."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.errors import DataError
from edgecnn.robust.corruptions import CORRUPTIONS, corrupt
from edgecnn.train.augment import PRESETS, Augment, augment, augment_batch, parse_augment

EVERYTHING = Augment(
    flip=True, shift=0.2, rotate=20, zoom=0.2, shear=10, brightness=0.3, contrast=0.3, saturation=0.3, hue=20,
    rand_augment=3, magnitude=12, erase=0.3,
)  # fmt: skip


@st.composite
def options(draw: st.DrawFn) -> Augment:
    share = st.sampled_from([0.0, 0.1, 0.25, 1.0]) | st.floats(0, 1)
    return Augment(
        flip=draw(st.booleans()),
        shift=draw(share),
        rotate=180 * draw(share),
        zoom=0.9 * draw(share),
        shear=60 * draw(share),
        brightness=draw(share),
        contrast=draw(share),
        saturation=draw(share),
        hue=180 * draw(share),
        rand_augment=draw(st.integers(0, 3)),
        magnitude=draw(st.integers(0, 30)),
        erase=draw(share),
        mixup=draw(share),
        cutmix=draw(share),
    )


def noise(*shape: int, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def generator(*seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", Augment()),
        ("light", PRESETS["light"]),
        ("strong,flip=no", replace(PRESETS["strong"], flip=False)),
        ("none,shift=0.1,rotate=10,mixup=0.2", Augment(shift=0.1, rotate=10, mixup=0.2)),
        ("flip=yes", Augment(flip=True)),
        (" Light , Flip=NO , magnitude=5 ", replace(PRESETS["light"], flip=False, magnitude=5)),
        ("rand_augment=2", Augment(rand_augment=2)),
    ],
)
def test_a_text_is_read(text: str, expected: Augment) -> None:
    assert parse_augment(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read '' in the augmentation ''; expected none, light, strong first, then flip=yes or no"),
        ("heavy", "cannot read 'heavy' in the augmentation 'heavy'"),
        ("flip=yes,light", "cannot read 'light'"),
        ("light,strong", "cannot read 'strong'"),
        ("light,", "cannot read ''"),
        ("flip", "cannot read 'flip'"),
        ("flip=1", "cannot read 'flip=1'"),
        ("light,rotate=a", "cannot read 'rotate=a'"),
        ("rotate", "cannot read 'rotate'"),
        ("rand_augment=1.5", "cannot read 'rand_augment=1.5'"),
        ("spin=3", "cannot read 'spin=3'"),
        ("shift=0.1,shift=0.2", "states more than one shift; state one"),
        ("shift=1.5", "expected shift of the augmentation from 0 to 1, got 1.5"),
        ("rotate=-5", "expected rotate of the augmentation from 0 to 180, got -5.0"),
        ("light,zoom=nan", "expected zoom of the augmentation from 0 to 0.9, got nan"),
        ("mixup=inf", "expected mixup of the augmentation from 0 to 100, got inf"),
        ("magnitude=31", "expected magnitude of the augmentation from 0 to 30, got 31"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_augment(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(options())
def test_the_spec_states_everything(chosen: Augment) -> None:
    assert parse_augment(chosen.spec) == chosen


def test_specs_are_short() -> None:
    assert [preset.spec for preset in PRESETS.values()] == ["none", "light", "strong"]
    assert parse_augment("none,rotate=10,flip=yes,rand_augment=2").spec == "flip=yes,rotate=10,rand_augment=2"


@given(options(), st.sampled_from([(1, 1, 1), (5, 9, 1), (12, 7, 3), (32, 32, 3)]), st.integers(0, 1000))
@settings(deadline=None)
def test_the_same_generator_gives_the_same_picture(chosen: Augment, shape: tuple[int, ...], seed: int) -> None:
    picture = noise(*shape)
    before = picture.copy()
    first = augment(picture, chosen, generator(seed))
    assert np.array_equal(picture, before)
    assert first.shape == shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, augment(picture, chosen, generator(seed)))


@pytest.mark.parametrize("chosen", [Augment(), Augment(mixup=0.2, cutmix=1.0, magnitude=30)])
def test_nothing_asked_nothing_changed(chosen: Augment) -> None:
    pixels = noise(4, 6, 5, 3)
    assert not chosen.changes_pictures
    assert augment(pixels[0], chosen, generator(1)).tobytes() == pixels[0].tobytes()
    assert augment_batch(pixels, chosen, generator(1)).tobytes() == pixels.tobytes()


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Augment) if field.name not in ("magnitude", "mixup", "cutmix")]
)
def test_each_value_alone_changes_some_pictures(name: str) -> None:
    value: Any = {"flip": True, "rand_augment": 1, "hue": 90, "rotate": 30, "shear": 30}.get(name, 0.5)
    chosen = replace(Augment(), **{name: value})
    pixels = noise(20, 16, 16, 3)
    changed = augment_batch(pixels, chosen, generator(2))
    assert chosen.changes_pictures
    assert (changed != pixels).any((1, 2, 3)).sum() >= 5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("chosen", [EVERYTHING, PRESETS["light"], PRESETS["strong"]])
def test_a_batch_is_its_pictures_in_turn(chosen: Augment, channels: int) -> None:
    pixels, random = noise(9, 17, 13, channels), generator(7)
    batch = augment_batch(pixels, chosen, generator(7))
    assert np.array_equal(batch, [augment(picture, chosen, random) for picture in pixels])
    assert batch.dtype == np.uint8


def test_flips_alone_mirror_half_of_the_pictures() -> None:
    pixels = noise(400, 5, 6, 3)
    changed = augment_batch(pixels, Augment(flip=True), generator(3))
    kept = (changed == pixels).all((1, 2, 3))
    assert np.array_equal(changed[~kept], pixels[~kept][:, :, ::-1])
    assert 150 < kept.sum() < 250


def test_shifts_alone_go_by_whole_pixels_as_far_as_asked_and_no_farther() -> None:
    pixels = noise(300, 16, 24, 1)
    changed = augment_batch(pixels, Augment(shift=0.125), generator(4))
    found = set()
    for picture, shifted in zip(pixels, changed, strict=True):
        padded = np.pad(picture, ((4, 4), (4, 4), (0, 0)), "reflect")
        places = [
            (across, down)
            for across in range(-4, 5)
            for down in range(-4, 5)
            if np.array_equal(padded[4 - down :, 4 - across :][:16, :24], shifted)
        ]
        assert len(places) == 1
        found.add(places[0])
    assert {across for across, _ in found} == set(range(-3, 4))
    assert {down for _, down in found} == set(range(-2, 3))


def test_brightness_goes_both_ways_as_far_as_asked() -> None:
    pixels = np.full((200, 4, 4, 3), 100, np.uint8)
    levels = augment_batch(pixels, Augment(brightness=0.2), generator(5))[:, 0, 0, 0]
    assert (levels.min(), levels.max()) == (80, 120)


def test_erasing_covers_half_of_the_pictures_and_at_most_the_share_asked() -> None:
    pixels = np.zeros((400, 20, 20, 1), np.uint8)
    pixels[:, ::2] = 200  # the mean, 100, occurs in no picture
    covered = (augment_batch(pixels, Augment(erase=0.25), generator(6)) == 100).mean((1, 2, 3))
    assert 150 < (covered > 0).sum() < 220
    assert 0.2 < covered.max() <= 0.3  # sides are rounded to pixels


def test_every_randaugment_operation_is_drawn() -> None:
    pixels = np.repeat(noise(1, 32, 32, 3), 300, axis=0)
    one = augment_batch(pixels, Augment(rand_augment=1), generator(8))
    # Nine operations go either way; identity, equalize, solarize and posterize have one result each. The noise reaches
    # from 0 to 255, so autocontrast is the identity.
    assert len({picture.tobytes() for picture in one}) == 9 * 2 + 4


def test_threads_do_not_disturb_each_other() -> None:
    pixels = noise(24, 32, 32, 3)

    def work(index: int) -> NDArray[np.uint8]:
        return augment(pixels[index], EVERYTHING, generator(9, index))

    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(work, range(24)))
    assert np.array_equal(at_once, [work(index) for index in range(24)])


@pytest.mark.parametrize("channels", [1, 3])
def test_corruptions_come_as_often_as_asked_and_are_those_of_the_robustness_measurement(channels: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (24, 20, channels), np.uint8)
    random = np.random.default_rng(5)
    results = [augment(picture, Augment(corrupt=0.25), random) for _ in range(200)]
    changed = [result for result in results if result is not picture]
    assert 25 <= len(changed) <= 75
    assert all(result.shape == picture.shape and result.dtype == np.uint8 for result in changed)
    always, numbers = Augment(corrupt=1.0), np.random.default_rng(9).random(19)
    expected_name = tuple(CORRUPTIONS)[int(numbers[-3] * len(CORRUPTIONS))]
    own = np.random.default_rng(int(numbers[-1] * (1 << 53)))
    color = np.repeat(picture, 3, axis=2) if channels == 1 else picture
    expected = corrupt(color, expected_name, 1 + int(5 * numbers[-2]), own, color="rgb")
    got = augment(picture, always, np.random.default_rng(9))
    if channels == 3:
        np.testing.assert_array_equal(got, expected)
    else:
        assert np.abs(got[..., 0].astype(int) - expected.mean(axis=2)).max() < 60
