"""How near RISE comes to the bare rate of its model: 1,000 masks against as many invokes on every core.

    python -m tools.rise_speed BUNDLE PHOTO [--masks 1000] [--rounds 5]

Interleaved, medians:

- invoke, 1 thread: the interpreter alone, again and again. Its rate times the number of cores is what RISE is held
  against, though cores that share caches, clock or a host do not reach it.
- invoke, all cores: one interpreter a thread, each doing nothing else.
- RISE: one map with clones that are loaded, from the decoded photo to the values, masks and sums included.

The share is RISE's rate of masks over the rate of invokes. A busy machine makes it smaller: look at the load. The
processor time of an invoke over that of a mask, of the first and the last line, is what a quiet one would come near to.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from edgecnn.data.images import read_image
from edgecnn.explain.crew import Crew
from edgecnn.explain.rise import rise
from edgecnn.runtime.classifier import Classifier
from edgecnn.runtime.interpreter import Engine


def invokes(engines: Sequence[Engine], count: int) -> int:
    """Let these interpreters run, each in a thread of its own; how often in all, at least `count` times."""

    def work(engine: Engine) -> None:
        for _ in range(-(-count // len(engines))):
            engine.invoke()

    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(work, engines))
    return -(-count // len(engines)) * len(engines)


def measure(model: str, photo: str, *, masks: int, rounds: int, workers: int) -> dict[str, list[tuple[float, float]]]:
    """(inferences a second, processor seconds of each) by name, one a round: one interpreter, all of them, RISE."""
    crew, frame = Crew(Classifier(model), workers=workers), read_image(photo)
    engines = [member.engine for member in crew.members]

    def explain() -> int:
        rise(crew, frame, masks=masks)
        return masks

    ways: dict[str, Callable[[], int]] = {
        "invoke, 1 thread": lambda: invokes(engines[:1], -(-masks // workers)),
        "invoke, all cores": lambda: invokes(engines, masks),
        "RISE": explain,
    }
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    invokes(engines, 10 * workers)  # warm
    for _ in range(rounds):
        for name, way in ways.items():
            started, worked = time.perf_counter(), time.process_time()
            count = way()
            rates[name].append((count / (time.perf_counter() - started), (time.process_time() - worked) / count))
    return rates


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("photo")
    parser.add_argument("--masks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="threads; the number of cores")
    given = parser.parse_args(arguments)
    found = measure(given.bundle, given.photo, masks=given.masks, rounds=given.rounds, workers=given.workers)
    name, load = os.path.basename(given.bundle), os.getloadavg()[0]
    print(f"{name}, {given.masks:,} masks, {given.workers} threads, medians of {given.rounds} rounds, load {load:.1f}")
    rates = {way: [rate for rate, _ in pairs] for way, pairs in found.items()}
    for way, values in rates.items():
        print(f"  {way:<18} {statistics.median(values):8.1f} a second  ({min(values):.1f} to {max(values):.1f})")
    for text, way, factor in (
        ("one interpreter times cores", "invoke, 1 thread", given.workers),
        ("all cores at once", "invoke, all cores", 1),
    ):
        _show(
            f"RISE / {text}", [mine / (factor * other) for mine, other in zip(rates["RISE"], rates[way], strict=True)]
        )
    pairs = zip(found["invoke, 1 thread"], found["RISE"], strict=True)
    _show("processor time, invoke / mask", [invoke / mask for (_, invoke), (_, mask) in pairs])


def _show(name: str, shares: list[float]) -> None:
    print(f"  {name:<35} {statistics.median(shares):.3f}  ({min(shares):.3f} to {max(shares):.3f})")


if __name__ == "__main__":
    main()
