"""Cold start: a fresh process from import to the first label, edgecnn against the bare cv2 + LiteRT loop.

    python tools/cold_start.py BUNDLE IMAGE [--rounds 15]

Both load the same `.tflite` and classify the same picture; they run in turn and medians are compared. Time is
the whole process as seen from outside; memory is the peak resident set that the process reports of itself.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

_MEMORY = """
import sys
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(int(peak), "tensorflow" in sys.modules, label)
"""

BARE = (
    """
import cv2, numpy as np, sys
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
frame = cv2.imread(sys.argv[2])
height, width = source["shape"][1:3]
picture = cv2.cvtColor(cv2.resize(frame, (width, height)), cv2.COLOR_BGR2RGB)
if source["dtype"] == np.int8:
    picture = (picture ^ 0x80).view(np.int8)
else:
    picture = picture.astype(source["dtype"])
interpreter.set_tensor(source["index"], picture[None])
interpreter.invoke()
label = int(interpreter.get_tensor(sink["index"])[0].argmax())
"""
    + _MEMORY
)

EDGECNN = (
    """
import sys, edgecnn
classifier = edgecnn.Classifier(sys.argv[1])
label = classifier.classify(edgecnn.read_image(sys.argv[2]))[0].index
"""
    + _MEMORY
)


def main() -> None:
    """Run both in turn and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("image")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    programs = {"bare": BARE, "edgecnn": EDGECNN}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    memory: dict[str, list[int]] = {name: [] for name in programs}
    for number in range(arguments.rounds + 1):
        for name, program in programs.items():
            started = time.perf_counter()
            command = [sys.executable, "-c", program, arguments.bundle, arguments.image]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            if number:  # the first round fills the disk cache
                seconds[name].append(time.perf_counter() - started)
                memory[name].append(int(done.stdout.split()[0]))
    middle = {name: (statistics.median(seconds[name]), statistics.median(memory[name]) / 1024) for name in programs}
    for name, (time_s, peak) in middle.items():
        print(f"{name:8} {1e3 * time_s:7.1f} ms  {peak:6.1f} MiB")
    print(
        f"ratio    {middle['edgecnn'][0] / middle['bare'][0]:7.3f}     {middle['edgecnn'][1] / middle['bare'][1]:6.3f}"
    )
    print(json.dumps({"tensorflow imported": "True" in done.stdout}))


if __name__ == "__main__":
    main()
