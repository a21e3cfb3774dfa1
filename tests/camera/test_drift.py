"""The drift watch on made-up sequences with a clock of their own: every clause of its rule, and no sleeps."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.bundle.card import Reference
from edgecnn.camera.drift import Drift, DriftWatch
from edgecnn.data.statistics import PictureStatistics

REFERENCE = Reference(
    brightness=(0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75),
    contrast=(0.1, 0.12, 0.16, 0.2, 0.24, 0.3, 0.34),
    sharpness=(0.25, 0.3, 0.5, 0.7, 0.9, 1.2, 1.6),
    score=(0.55, 0.6, 0.85, 0.95, 0.97, 0.99, 0.995),
    samples=200,
    split="val",
)
NORMAL = (0.5, 0.2, 0.6, 0.9)  # brightness, contrast, sharpness, score
BAD = {
    "dark": (0.1, 0.2, 0.6, 0.9),
    "bright": (0.93, 0.2, 0.6, 0.9),
    "flat": (0.5, 0.03, 0.6, 0.9),
    "blurred": (0.5, 0.2, 0.05, 0.9),
    "unknown": (0.5, 0.2, 0.6, 0.51),
}
Values = tuple[float, float, float, float]
Told = list[tuple[float, str, str]]


def told(
    scene: Callable[[float], Values], seconds: float, *, rate: float = 30.0, watch: DriftWatch | None = None
) -> Told:
    """What is told (when, reason, state) of a scene that lasts so long, at so many frames a second."""
    watch = watch or DriftWatch(REFERENCE, classes=2)
    found = []
    for number in range(round(seconds * rate)):
        now = number / rate
        if watch.due(now):
            *picture, score = scene(now)
            if drift := watch.update(now, PictureStatistics(*picture), score):
                found.append((now, drift.reason, drift.state))
    return found


def turning(*parts: tuple[float, Values]) -> Callable[[float], Values]:
    """A scene that has these values from these times on."""
    return lambda now: [values for begin, values in parts if begin <= now][-1]


@pytest.mark.parametrize("rate", [1.0, 2.0, 5.0, 10.0, 29.97, 200.0])
@pytest.mark.parametrize("reason", ["dark", "bright", "flat", "blurred"])
def test_a_change_is_told_within_three_seconds_and_so_is_its_end(reason: str, rate: float) -> None:
    scene = turning((0, NORMAL), (20, BAD[reason]), (40, NORMAL))
    (begun, *what), (over, *end) = told(scene, 60, rate=rate)
    assert what == [reason, "begun"]
    assert end == [reason, "over"]
    assert 20 < begun <= 23
    assert 40 < over <= 43


@pytest.mark.parametrize("rate", [1.0, 5.0, 30.0])
@pytest.mark.parametrize("reason", ["dark", "bright", "flat", "blurred"])
def test_what_is_bad_from_the_beginning_is_told_within_three_seconds(reason: str, rate: float) -> None:
    [(begun, *what)] = told(lambda now: BAD[reason], 30, rate=rate)
    assert what == [reason, "begun"]
    assert begun <= 3


def test_low_scores_are_told_when_they_last() -> None:
    scene = turning((0, NORMAL), (40, BAD["unknown"]), (80, NORMAL))
    (begun, *what), (over, *_) = told(scene, 120)
    assert what == ["unknown", "begun"]
    assert 43 < begun < 50
    assert 83 < over < 90
    assert told(turning((0, NORMAL), (40, BAD["unknown"]), (43, NORMAL)), 60) == []


@settings(max_examples=20)
@given(st.integers(0, 1000), st.sampled_from(sorted(BAD)))
def test_single_frames_say_nothing(seed: int, reason: str) -> None:
    """Every fourth measured frame is bad, as where somebody waves a hand before the lens."""
    assert told(lambda now: BAD[reason] if round(now * 10 + seed) % 4 == 0 else NORMAL, 30) == []


def test_a_change_that_is_over_at_once_says_nothing() -> None:
    assert told(turning((0, NORMAL), (10, BAD["dark"]), (10.9, NORMAL)), 30) == []


@settings(max_examples=30)
@given(
    st.tuples(st.floats(0.3, 0.7), st.floats(0.12, 0.5), st.floats(0.3, 8), st.floats(0.55, 1)),
    st.tuples(st.floats(0.3, 0.7), st.floats(0.12, 0.5), st.floats(0.3, 8), st.floats(0.55, 1)),
)
def test_no_change_inside_the_range_of_the_conversion_is_a_drift(before: Values, after: Values) -> None:
    assert told(turning((0, before), (15, after)), 30, rate=10) == []


@settings(max_examples=30)
@given(st.tuples(st.floats(0.25, 0.8), st.floats(0.07, 0.5), st.floats(0.16, 8), st.floats(0.53, 1)))
def test_a_scene_outside_the_range_is_none_as_long_as_it_stays_its_own(own: Values) -> None:
    """Half of what the conversion had or more, and never half of what it is itself."""

    def scene(now: float) -> Values:
        sway = math.sin(now)
        light = min(0.84, own[0] * (1 + 0.1 * sway))
        return light, own[1] * (1 + 0.1 * sway), own[2] * (1 - 0.05 * sway), own[3]

    assert told(scene, 60, rate=10) == []


def test_a_dim_scene_alarms_when_it_is_half_as_bright_as_it_was() -> None:
    dim = (0.25, 0.2, 0.6, 0.9)  # below the 0.3 of the conversion, and its own normal
    half, darker = 0.25 * 0.5 ** (1 / 2.2), 0.16
    assert told(turning((0, dim), (20, (half + 0.01, 0.2, 0.6, 0.9))), 40) == []
    [(begun, *what)] = told(turning((0, dim), (20, (darker, 0.2, 0.6, 0.9))), 40)
    assert (what, 20 < begun < 23) == (["dark", "begun"], True)


def test_outside_the_range_but_near_the_scenes_own_is_no_drift() -> None:
    dim = (0.27, 0.2, 0.6, 0.9)
    assert told(turning((0, dim), (20, (0.22, 0.2, 0.6, 0.9))), 40) == []


def test_far_from_the_scenes_own_but_inside_the_range_is_no_drift() -> None:
    assert told(turning((0, (0.7, 0.3, 1.6, 0.99)), (20, (0.31, 0.13, 0.31, 0.6))), 60) == []


def test_what_stays_a_minute_from_the_beginning_is_the_scenes_own() -> None:
    night = (0.15, 0.1, 0.6, 0.9)
    watch = DriftWatch(REFERENCE, classes=2)
    found = told(turning((0, night), (100, (0.08, 0.1, 0.6, 0.9)), (120, night)), 140, watch=watch)
    assert [what for _, *what in found] == [
        ["dark", "begun"],
        ["dark", "accepted"],
        ["dark", "begun"],
        ["dark", "over"],
    ]
    begun, accepted, again, over = (when for when, *_ in found)
    assert 60 <= accepted - begun <= 61
    assert 100 < again < 103
    assert 120 < over < 123


@pytest.mark.parametrize("nothing", [(0.0, 0.0, 0.0, 0.9), (0.01, 0.005, 1.0, 0.9), (1.0, 0.0, 0.0, 0.9)])
def test_a_picture_of_nothing_is_never_the_scenes_own(nothing: Values) -> None:
    [(_, reason, state)] = told(lambda now: nothing, 300, rate=5)
    assert (reason, state) == ("bright" if nothing[0] == 1 else "dark", "begun")


def test_what_was_right_once_is_never_made_normal() -> None:
    found = told(turning((0, NORMAL), (20, BAD["blurred"])), 600, rate=5)
    assert [what for _, *what in found] == [["blurred", "begun"]]


def test_after_a_bad_beginning_the_scenes_own_is_learned_from_what_follows() -> None:
    bad, dim = BAD["dark"], (0.26, 0.2, 0.6, 0.9)
    found = told(turning((0, bad), (10, dim), (40, (0.21, 0.2, 0.6, 0.9)), (60, (0.16, 0.2, 0.6, 0.9))), 80)
    assert [what for _, *what in found] == [["dark", "begun"], ["dark", "over"], ["dark", "begun"]]
    assert 60 < found[-1][0] < 63


def test_it_does_not_flicker_about_its_limit() -> None:
    """The median wanders about the limit by less than a quarter."""
    found = told(turning((0, NORMAL), (20, (0.24, 0.2, 0.6, 0.9))), 30)
    assert [what for _, *what in found] == [["dark", "begun"]]
    scene = turning(*[(20 + 3 * i, (0.29 + 0.02 * (i % 2), 0.2, 0.6, 0.9)) for i in range(30)])
    found = told(lambda now: NORMAL if now < 20 else scene(now), 100)
    assert [what for _, *what in found] == [["dark", "begun"]]


def test_of_several_reasons_the_first_is_told_and_scores_are_not_judged() -> None:
    black = (0.02, 0.01, 0.01, 0.5)
    found = told(turning((0, NORMAL), (30, black), (60, NORMAL)), 120)
    assert [what for _, *what in found] == [["dark", "begun"], ["dark", "over"]]


def test_what_is_about_to_turn_turns_with_the_first() -> None:
    """A lamp that is dimmed takes contrast before light, and when it is lit again gives light before contrast."""

    def lamp(now: float) -> Values:
        left = max(0.3, 1 - max(0.0, now - 20) / 4) if now < 40 else min(1.0, 0.3 + (now - 40) / 4)
        return 0.5 * left, 0.15 * left, 0.6, 0.9

    found = told(lamp, 60)
    assert [what for _, *what in found] == [["dark", "begun"], ["dark", "over"]]


def test_another_reason_takes_the_place_of_the_first() -> None:
    watch = DriftWatch(REFERENCE, classes=2)
    found = told(turning((0, NORMAL), (20, BAD["dark"]), (40, BAD["blurred"]), (60, NORMAL)), 80, watch=watch)
    assert [what for _, *what in found] == [["dark", "begun"], ["blurred", "begun"], ["blurred", "over"]]
    record = watch.to_dict()
    assert (record["begun"], record["now"]) == (2, None)
    assert record["seconds"] == {"dark": pytest.approx(20, abs=0.3), "blurred": pytest.approx(20, abs=0.3)}


def test_what_is_told_of_a_drift() -> None:
    watch = DriftWatch(REFERENCE, classes=2)
    assert (watch.current, watch.to_dict()) == (None, {"begun": 0, "seconds": {}, "now": None})
    told(turning((0, NORMAL), (10, BAD["blurred"])), 20, watch=watch)
    drift = watch.current
    assert drift == Drift("begun", "blurred", "sharpness", 0.05, (0.3, 1.2), 0.6, 0.0)
    assert drift is not None
    assert drift.words == "blurred: sharpness 0.05, expected 0.30 to 1.20, 0.60 in this scene before"
    assert drift.to_dict() == {
        "state": "begun", "reason": "blurred", "statistic": "sharpness", "value": 0.05, "expected": [0.3, 1.2],
        "own": 0.6, "seconds": 0.0,
    }  # fmt: skip
    record = watch.to_dict()
    assert (record["begun"], record["now"]) == (1, "blurred")
    assert record["seconds"] == {"blurred": pytest.approx(8.2, abs=0.3)}
    from_the_beginning = drift._replace(own=None)
    assert from_the_beginning.words == "blurred: sharpness 0.05, expected 0.30 to 1.20"
    assert from_the_beginning.to_dict()["own"] is None
    assert drift._replace(state="over", seconds=12.34).words == "blurred: over after 12.3 s"
    assert (
        drift._replace(state="accepted", seconds=60.0).words == "blurred: now taken as this scene's normal after 60.0 s"
    )


def test_a_gap_begins_anew_but_the_scene_is_still_known() -> None:
    watch = DriftWatch(REFERENCE, classes=2)
    told(turning((0, NORMAL), (9, BAD["dark"])), 10, watch=watch)
    watch.pause()
    for tenth in range(100, 118):  # the dark frames before the gap do not count
        assert watch.update(tenth / 10, PictureStatistics(*BAD["dark"][:3]), 0.9) is None
    found = [watch.update(tenth / 10, PictureStatistics(*BAD["dark"][:3]), 0.9) for tenth in range(118, 140)]
    [drift] = [item for item in found if item]
    assert (drift.reason, drift.own) == ("dark", 0.5)


def test_five_frames_a_second_are_enough() -> None:
    watch, measured = DriftWatch(REFERENCE, classes=2), 0
    for number in range(600):
        if watch.due(number / 60):
            measured += 1
            watch.update(number / 60, PictureStatistics(*NORMAL[:3]), 0.9)
    assert measured == 50


@pytest.mark.parametrize("score", [math.nan, 0.0])
def test_a_score_that_is_no_number_is_none(score: float) -> None:
    [(_, reason, _)] = told(lambda now: (*NORMAL[:3], score), 30)
    assert reason == "unknown"


def test_a_reference_of_plain_colours_never_alarms_of_what_it_had_none_of() -> None:
    plain = Reference((0.0,) * 5 + (1.0,) * 2, (0.0,) * 7, (0.0,) * 7, (0.5,) * 7, 3, "val")
    assert told(lambda now: (0.0 if now < 10 else 1.0, 0.0, 0.0, 0.5), 40, watch=DriftWatch(plain, classes=2)) == []


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_guessing_is_measured_from_the_number_of_classes(classes: int) -> None:
    guess = 1 / classes
    limit = guess + (0.9 - guess) / 2  # half of what the scene's score is above guessing
    within = [limit + 0.01, limit - 0.01]
    wide = (0.1,) * 2 + (0.99,) * 5
    stored = Reference(brightness=wide, contrast=wide, sharpness=wide, score=(0.89,) * 7, samples=9, split="val")
    for score, alarms in zip(within, (0, 1), strict=True):
        watch = DriftWatch(stored, classes=classes)
        found = told(turning((0, NORMAL), (40, (*NORMAL[:3], score))), 80, rate=10, watch=watch)
        assert len(found) == alarms
