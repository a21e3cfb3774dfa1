"""Whether what a camera shows is still what the model was made for: dark, bright, flat, blurred, unknown.

The rule, in full:

1. Five times a second one frame is measured as the model gets it: brightness, contrast, sharpness, and its best score.
   The median over a window of time counts, so that single frames do not: 1.5 s for pictures, 10 s for scores. At the
   start, after a gap and after a drift nothing is judged before the window is full.
2. The bundle says where nearly all pictures at conversion lay: from their 5 % to their 95 % quantile. For scores it is
   1 % to 99 %, since they change with what is in view, where the pictures of a fixed camera hardly do.
3. The camera says what is normal for its own scene: the median after the first two windows, if nothing was wrong.
4. There is a drift when the median stays for one second both outside the stored range and clearly away from the scene's
   normal, that is, at less than half of it: half the light ("dark"), half the distance to white ("bright"), half the
   contrast ("flat"), half the sharpness ("blurred"), half of what the score is above guessing ("unknown"). A scene that
   is by nature darker than the pictures at conversion does not alarm, and neither does a change that the pictures at
   conversion had too.
5. As long as the scene's normal is not known, the end of the stored range stands for it. So a camera that is covered
   or out of focus from the beginning alarms: it shows less than half of what nearly every picture at conversion had.
   When that stays so for a minute, and there is something to see, it is the scene's normal after all: the drift is
   told once, "accepted", and later changes are measured from there.
6. A drift is over when the median stays for one second a quarter above the limit.

Of several reasons the first in the order above is told; those that are about to turn when one does turn with it. While
pictures are at fault, scores are not judged: the reason is known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgecnn.bundle.card import STATISTICS, Reference

if TYPE_CHECKING:
    from edgecnn.data.statistics import PictureStatistics

_EVERY: Final = 0.2  # seconds between two frames that are measured
_TAILS: Final = {"brightness": 0.05, "contrast": 0.05, "sharpness": 0.05, "score": 0.01}  # outside the stored range
_WINDOWS: Final = {"brightness": 1.5, "contrast": 1.5, "sharpness": 1.5, "score": 10.0}  # seconds
_FEWEST: Final = 3  # frames in a window, however slow the model
_HOLD: Final = 1.0  # seconds that a change must last
_BACK: Final = 1.25  # how far above its limit a statistic is good again
_ACCEPT: Final = 60.0  # seconds after which a drift from the beginning is the scene's normal
_NOTHING: Final = 0.02  # contrast, and distance from black and white, below which there is nothing to see
_GAMMA: Final = 2.2  # of the display: light = luma ** 2.2


class Drift(NamedTuple):
    """A drift that began, or came to an end.

    Attributes:
        state: "begun", "over", or "accepted" (it is the scene's normal).
        reason: "dark", "bright", "flat", "blurred" or "unknown".
        statistic, value: the one that tells so, and its median just now.
        expected: its range at conversion.
        own: what is normal for the scene; None where that is not known.
        seconds: how long it lasted; 0 when it begins.
    """

    state: str
    reason: str
    statistic: str
    value: float
    expected: tuple[float, float]
    own: float | None
    seconds: float

    @property
    def words(self) -> str:
        """For people, in one line."""
        if self.state != "begun":
            end = "over" if self.state == "over" else "now taken as this scene's normal"
            return f"{self.reason}: {end} after {self.seconds:.1f} s"
        low, high = self.expected
        own = "" if self.own is None else f", {self.own:.2f} in this scene before"
        return f"{self.reason}: {self.statistic} {self.value:.2f}, expected {low:.2f} to {high:.2f}{own}"

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        numbers = {"value": round(self.value, 4), "expected": list(self.expected), "seconds": round(self.seconds, 3)}
        return self._asdict() | numbers | {"own": None if self.own is None else round(self.own, 4)}


class _Reason:
    """One thing that can be wrong: too little of an amount, which `amount` makes of a statistic."""

    def __init__(self, name: str, statistic: str, amount: Callable[[float], float], stored: float) -> None:
        self.name, self.statistic = name, statistic
        self.amount, self._stored = amount, stored
        self.limit = self._stored / 2
        self.active = False
        self.turning: float | None = None  # since when the amount is on the other side

    def know(self, own: float) -> None:
        """Learn what is normal for the scene, a value of the statistic."""
        self.limit = min(self._stored, self.amount(own) / 2)

    def judge(self, now: float, value: float) -> None:
        """Take the statistic's median; it must stay on the other side for a while to turn `active`."""
        amount = self.amount(value)
        turned = amount > _BACK * self.limit if self.active else amount < self.limit
        if not turned:
            self.turning = None
        elif self.turning is None:
            self.turning = now
        elif now - self.turning >= _HOLD:
            self.active, self.turning = not self.active, None

    def clear(self) -> None:
        """Nothing is wrong, and nothing about to be."""
        self.active, self.turning = False, None


class _Window:
    """The values of the last seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._times: deque[float] = deque()
        self._values: deque[float] = deque()
        self._started: float | None = None

    def add(self, now: float, value: float) -> None:
        """Take a value; old ones go as long as a few are left."""
        self._started = now if self._started is None else self._started
        self._times.append(now)
        self._values.append(value)
        while len(self._times) > _FEWEST and self._times[0] <= now - self.seconds:
            self._times.popleft()
            self._values.popleft()

    def lasts(self, now: float) -> float:
        """How many windows it has been filled for."""
        return 0.0 if self._started is None else (now - self._started) / self.seconds

    def median(self) -> float:
        """Of the values."""
        return median(self._values)

    def clear(self) -> None:
        """Begin anew."""
        self._times.clear()
        self._values.clear()
        self._started = None


class DriftWatch:
    """Takes the statistics of frames and tells when a drift begins and ends, by the rule above.

    Times are seconds of any clock that only goes forward, such as that of a recording.

    Args:
        reference: what pictures and scores were like at conversion.
        classes: number of classes; guessing scores 1 / classes.

    Attributes:
        current: the drift that there is now, None for none; may be read by another thread.
    """

    def __init__(self, reference: Reference, classes: int) -> None:
        self.current: Drift | None = None
        guess = 1 / classes
        kinds: list[tuple[str, str, int, Callable[[float], float]]] = [
            ("dark", "brightness", 0, lambda value: value**_GAMMA),
            ("bright", "brightness", 1, lambda value: 1 - value),
            ("flat", "contrast", 0, lambda value: value),
            ("blurred", "sharpness", 0, lambda value: value),
            ("unknown", "score", 0, lambda value: max(0.0, (value - guess) / (1 - guess))),
        ]
        self._expected = {statistic: reference.range(statistic, tail) for statistic, tail in _TAILS.items()}
        self._reasons = [
            _Reason(name, statistic, amount, amount(self._expected[statistic][end]))
            for name, statistic, end, amount in kinds
        ]
        self._windows = {statistic: _Window(_WINDOWS[statistic]) for statistic in STATISTICS}
        self._own: dict[str, float] = {}
        self._begun = 0
        self._seconds: dict[str, float] = {}
        self._since = self._now = 0.0
        self._due = float("-inf")

    def due(self, now: float) -> bool:
        """Whether it is time to measure a frame."""
        return now >= self._due

    def update(self, now: float, picture: PictureStatistics, score: float) -> Drift | None:
        """Take one frame.

        Args:
            now: when it was captured, in seconds.
            score: its best probability, not averaged over frames.

        Returns:
            The drift that begins or ends with it, None for none.
        """
        self._now, self._due = now, now + _EVERY * 0.99  # frames come a little early now and then
        for statistic, value in zip(STATISTICS, (*picture, score if score == score else 0.0), strict=True):
            self._windows[statistic].add(now, value)
        pictures = [reason for reason in self._reasons if reason.statistic != "score"]
        self._judge(pictures)
        scores = [reason for reason in self._reasons if reason.statistic == "score"]
        if any(reason.active for reason in pictures):
            self._windows["score"].clear()
            for reason in scores:
                reason.clear()
        else:
            self._judge(scores)
        return self._told()

    def pause(self) -> None:
        """After a gap: what was before it says nothing about now, except what is normal for the scene."""
        for window in self._windows.values():
            window.clear()
        for reason in self._reasons:
            reason.turning = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form of all so far: how often a drift began, seconds by reason, and what there is now."""
        seconds = dict(self._seconds)
        if self.current:
            seconds[self.current.reason] += self._now - self._since
        return {
            "begun": self._begun,
            "seconds": {reason: round(lasted, 3) for reason, lasted in seconds.items()},
            "now": self.current.reason if self.current else None,
        }

    def _judge(self, reasons: list[_Reason]) -> None:
        """Judge by full windows; two that were all good tell what is normal for the scene."""
        before = [reason.active for reason in reasons]
        for reason in reasons:
            window = self._windows[reason.statistic]
            if window.lasts(self._now) >= 1:
                reason.judge(self._now, window.median())
        turned = {reason.active for reason, was in zip(reasons, before, strict=True) if reason.active != was}
        for reason in reasons:  # one cause often moves several, and each crosses its limit at another moment
            if reason.turning is not None and (not reason.active) in turned:
                reason.active, reason.turning = not reason.active, None
        if not any(reason.active or reason.turning is not None for reason in reasons):
            self._learn(reasons, filled=2)

    def _learn(self, reasons: list[_Reason], *, filled: float) -> None:
        for reason in reasons:
            window = self._windows[reason.statistic]
            if reason.statistic not in self._own and window.lasts(self._now) >= filled:
                self._own |= {reason.statistic: window.median()}
            if reason.statistic in self._own:
                reason.know(self._own[reason.statistic])

    def _told(self) -> Drift | None:
        """What of the reasons' states is news."""
        first = next((reason for reason in self._reasons if reason.active), None)
        before = self.current
        lasted = self._now - self._since
        if before is not None and first is not None and first.name == before.reason:
            if before.own is None and lasted >= _ACCEPT and self._shows_something():
                self._learn(self._reasons, filled=1)
                for reason in self._reasons:
                    reason.clear()
                return self._end(before, "accepted", lasted)
            return None
        if first is not None:  # where it takes the place of another reason, that one needs no word of its own
            if before is not None:
                self._seconds[before.reason] += lasted
            self._since = self._now
            self._begun += 1
            self._seconds.setdefault(first.name, 0.0)
            name, value = first.statistic, self._windows[first.statistic].median()
            own = self._own.get(name)
            self.current = Drift("begun", first.name, name, value, self._expected[name], own, 0.0)
            return self.current
        return None if before is None else self._end(before, "over", lasted)

    def _end(self, drift: Drift, state: str, lasted: float) -> Drift:
        self._seconds[drift.reason] += lasted
        self.current = None
        ended = drift._replace(state=state, value=self._windows[drift.statistic].median(), seconds=lasted)
        self.pause()
        return ended

    def _shows_something(self) -> bool:
        brightness, contrast = (self._windows[name].median() for name in ("brightness", "contrast"))
        return min(brightness, 1 - brightness, contrast) >= _NOTHING
