"""Frame to label on emulated Raspberry Pis, in instructions: exact, whatever else the machine does.

    python -m tools.camera_instructions TREE BUNDLE...

TREE is what `python -m tools.emulated_pi build` made. One 1280x720 frame, one thread, the steps of
`tools.camera_latency`: the interpreter alone, a resize and the interpreter, edgecnn, and the label_image script. Ratios
compare what a processor has to do; they are not its milliseconds, since it does several instructions at once and waits
for memory.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from tools.emulated_pi import command, compile_plugin, counted_environment, instructions
from tools.emulated_pi_root import BOARDS, CHECKOUT

STEPS = ("bare", "floor", "edgecnn", "script")
# The third call counts: the first ones pack weights and make buffers.
PROGRAM = """
import gc, os, sys
from pathlib import Path
import cv2, numpy as np
from tools import camera_latency

cv2.setNumThreads(1)
step = getattr(camera_latency, sys.argv[1] + "_step")(Path(sys.argv[2]))
frame = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
gc.disable()
for _ in range(3):
    os.lseek(0, 0x65646765, 0)
    step(frame)
    os.lseek(0, 0x65646766, 0)
"""


def main() -> None:
    """Count and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE")
    options: Any = parser.parse_args()
    fixed = counted_environment(options.tree, CHECKOUT)
    print(f"{'millions of instructions':<26}" + "".join(f"{name:>10}" for name in STEPS) + "  edgecnn/bare /floor")
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder) / "count.so"
        compile_plugin(plugin)
        for bundle in options.bundles:
            for pi in BOARDS:
                found = {}
                for step in STEPS:
                    arguments = ["-c", PROGRAM, step, str(bundle.resolve())]
                    found[step] = instructions(bundle, command(options.tree, pi, arguments, plugin=plugin), fixed)
                cells = "".join(f"{found[step] / 1e6:10.3f}" for step in STEPS)
                ratios = f"{found['edgecnn'] / found['bare']:12.3f} {found['edgecnn'] / found['floor']:6.3f}"
                print(f"{bundle.stem[:18]:<19}Pi {pi}   {cells}{ratios}", flush=True)


if __name__ == "__main__":
    main()
