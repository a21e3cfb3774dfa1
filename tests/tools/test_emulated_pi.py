"""The real `predict` and `camera` on an emulated Pi 3, 4 and 5 answer as here, to the last digit.

Frames have the model's own size, because resizing differs by 1 between x86 and ARM; what remains is fixed: decoding,
preprocessing, int8 inference, scores.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.bundle.tflite import with_signature
from edgecnn.config import Preprocess
from edgecnn.data.dataset import read_labels
from edgecnn.data.images import read_image
from tests.models import linear, quantized, sealed
from tools import emulated_pi, emulated_pi_root
from tools.emulated_pi import count_table, main
from tools.emulated_pi_root import (
    BOARDS,
    CHECKOUT,
    EmulationError,
    UnavailableError,
    base_dependencies,
    board_files,
    build,
    debian_mirror,
    failure_line,
    python_version,
)

FRAMES = 12
SUITE = "bookworm"


@dataclass(frozen=True)
class Clip:
    """A model and pictures of its input's size, as files and as a lossless video of the same pixels."""

    model: Path
    pictures: list[Path]
    video: Path


@pytest.fixture(scope="session")
def tree() -> Path:
    """The file tree of the emulated Pis, built on first use: EDGECNN_PI_ROOT, else in ~/.cache/edgecnn."""
    folder = Path(os.environ.get("EDGECNN_PI_ROOT") or Path.home() / ".cache" / "edgecnn" / f"pi-{SUITE}")
    if reason := emulated_pi.unavailable():
        pytest.skip(f"no emulated Pi: {reason}")
    try:
        build(folder, suite=SUITE)
    except UnavailableError as exc:
        pytest.skip(f"no emulated Pi: {exc}")
    return folder


@pytest.fixture(
    scope="module",
    params=[
        "tiny",
        pytest.param("ic", marks=pytest.mark.shared_data),
        pytest.param("vww", marks=pytest.mark.shared_data),
    ],
)
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "tiny":
        content, preprocess, frames = tiny_model()
        labels: Sequence[str] = ("a", "b", "c")
    else:
        content, preprocess, labels, frames = real_model(request.param, request.getfixturevalue("shared_data"))
    (folder / "model.tflite").write_bytes(sealed(content, labels=labels, preprocess=preprocess))
    pictures = [folder / f"{index:02}.png" for index in range(len(frames))]
    for path, frame in zip(pictures, frames, strict=True):
        cv2.imwrite(str(path), frame)
    writer = cv2.VideoWriter(
        str(folder / "clip.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), 30, preprocess.size
    )
    for frame in frames:
        writer.write(frame)
    writer.release()
    return Clip(folder / "model.tflite", pictures, folder / "clip.avi")


def tiny_model() -> tuple[bytes, Preprocess, list[NDArray[np.uint8]]]:
    """One int8 layer on 16x16 pictures of noise, and such pictures in BGR."""
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 0.1, (3, 16 * 16 * 3)).astype(np.float32)
    model = quantized(linear(weights, size=(16, 16)), rng.random((16, 16, 16, 3), np.float32))
    frames = [rng.integers(0, 256, (16, 16, 3), np.uint8) for _ in range(FRAMES)]
    return model, Preprocess(width=16, height=16, std=(255.0,)), frames


def real_model(name: str, shared_data: Path) -> tuple[bytes, Preprocess, Sequence[str], list[NDArray[np.uint8]]]:
    """A model of MLPerf Tiny as published in int8, and photos in BGR that are small enough for it."""
    file, names, size, std = {
        "ic": ("mlperf_tiny_resnet8_cifar10_int8.tflite", "cifar10_labels.txt", 32, 1.0),
        "vww": ("mlperf_tiny_vww_96_int8.tflite", "vww_labels.txt", 96, 255.0),
    }[name]
    photos = sorted((shared_data / "photos").glob("*.jpg"))[:FRAMES]
    frames = [np.asarray(cv2.resize(read_image(photo), (size, size)), np.uint8) for photo in photos]
    models = shared_data / "models"
    content = with_signature((models / file).read_bytes())
    return content, Preprocess(width=size, height=size, std=(std,)), read_labels(models / names), frames


def edgecnn(tree: Path, pi: int | None, arguments: Sequence[object]) -> Any:
    """The JSON that edgecnn prints: here, or on a Pi."""
    program = ["edgecnn"] if pi is None else ["tools.emulated_pi", "run", str(tree), str(pi)]
    command = [sys.executable, "-m", *program, *map(str, arguments)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, f"Pi {pi}: {done.stderr}"
    return json.loads(done.stdout)


def on_all(run: Callable[[int | None], Any]) -> dict[int | None, Any]:
    """What `run` returns here (None) and on every Pi; as many at once as there are processors."""
    places = [None, *BOARDS]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(places, pool.map(run, places), strict=True))


def assert_equal_everywhere(answers: dict[int | None, list[tuple[Any, ...]]], frames: int) -> None:
    here = answers.pop(None)
    assert len(here) == frames
    assert len(set(here)) > 2  # otherwise any model would pass
    for pi, answer in answers.items():
        assert answer == here, f"Pi {pi}"


@pytest.mark.emulated_pi
@pytest.mark.slow
def test_predict_is_equal_on_every_pi(tree: Path, clip: Clip) -> None:
    def run(pi: int | None) -> list[tuple[Any, ...]]:
        records = edgecnn(tree, pi, ["predict", clip.model, *clip.pictures, "--json"])
        assert [record["image"] for record in records] == list(map(str, clip.pictures))
        return [(record["predictions"][0]["label"], record["predictions"][0]["score"]) for record in records]

    assert_equal_everywhere(on_all(run), len(clip.pictures))


@pytest.mark.emulated_pi
@pytest.mark.slow
def test_camera_is_equal_on_every_pi(tree: Path, clip: Clip, tmp_path: Path) -> None:
    def run(pi: int | None) -> list[tuple[Any, ...]]:
        events = tmp_path / f"{pi}.jsonl"
        summary = edgecnn(
            tree, pi,
            ["camera", clip.model, "--source", clip.video, "--every-frame", "--event-every", 0, "--events", events,
             "--smooth", 1, "--threshold", 0, "--margin", 0, "--threads", 1, "--headless", "--json"],
        )  # fmt: skip
        assert (summary["frames"], summary["dropped"]) == (len(clip.pictures), 0)
        lines = [json.loads(line) for line in events.read_text("utf-8").splitlines()]
        assert [line["frame"] for line in lines] == list(range(len(clip.pictures)))
        return [(line["label"], line["score"]) for line in lines]

    assert_equal_everywhere(on_all(run), len(clip.pictures))


@pytest.mark.emulated_pi
@pytest.mark.slow
@pytest.mark.parametrize("clip", ["tiny"], indirect=True)
def test_counts_repeat_exactly_and_newer_processors_need_fewer_instructions(tree: Path, clip: Clip) -> None:
    try:
        first, again = (emulated_pi.count(tree, [clip.model])[str(clip.model)] for _ in range(2))
    except UnavailableError as exc:
        pytest.skip(str(exc))
    assert first == again
    assert 5_000 < first[5] <= first[4] <= first[3]


@pytest.mark.emulated_pi
@pytest.mark.slow
@pytest.mark.parametrize("clip", ["tiny"], indirect=True)
def test_a_failing_program_says_so(tree: Path, clip: Clip) -> None:
    arguments = ["run", str(tree), "4", "predict", str(clip.model), "no-such-picture.png"]
    command = [sys.executable, "-m", "tools.emulated_pi", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    with pytest.raises(EmulationError, match="no such model"):
        emulated_pi.count(tree, [Path("no-such-model.tflite")])


def test_the_base_installs_wheels_are_those_of_pyproject_toml() -> None:
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    text = (CHECKOUT / "pyproject.toml").read_text("utf-8")
    found = base_dependencies(text)
    assert found == tomllib.loads(text)["project"]["dependencies"]
    assert any(item.startswith("ai-edge-litert") for item in found)


@pytest.mark.parametrize(
    "text",
    [
        "[project]\nname = 'a'\n",
        "[other]\ndependencies = [\n    'numpy',\n]\n[project]\nname = 'a'\n",
    ],
)
def test_a_pyproject_without_dependencies_is_refused(text: str) -> None:
    with pytest.raises(EmulationError, match=r"found none"):
        base_dependencies(text)


@pytest.mark.parametrize(
    ("repositories", "mirror"),
    [
        (
            "http://security.debian.org/debian-security/\nhttp://mirror.example/debian/\n",
            "http://mirror.example/debian",
        ),
        ("https://one.example/pub/debian\nhttps://two.example/debian\n", "https://one.example/pub/debian"),
        ("http://archive.ubuntu.com/ubuntu/\n", "http://deb.debian.org/debian"),
        ("file:/media/cdrom/debian/\n", "http://deb.debian.org/debian"),
        ("", "http://deb.debian.org/debian"),
    ],
)
def test_the_mirror_is_the_one_that_apt_uses(repositories: str, mirror: str) -> None:
    assert debian_mirror(repositories) == mirror


@pytest.mark.parametrize(("pi", "part", "shared_by_l2"), [(3, "0xd03", "0-3"), (4, "0xd08", "0-3"), (5, "0xd0b", "2")])
def test_a_board_describes_itself_as_its_kernel_does(pi: int, part: str, shared_by_l2: str) -> None:
    files = board_files(pi)
    cpuinfo = files["proc/cpuinfo"]
    assert cpuinfo.count("processor\t:") == cpuinfo.count(f"CPU part\t: {part}\n") == 4
    assert cpuinfo.endswith(f"Model\t\t: Raspberry Pi {pi}\n")
    assert ("asimddp" in cpuinfo) == (pi == 5)  # the dot products of int8 kernels
    cpu = "sys/devices/system/cpu"
    assert (files[f"{cpu}/present"], files[f"{cpu}/kernel_max"]) == ("0-3\n", "3\n")
    assert files[f"{cpu}/cpu2/cache/index2/shared_cpu_list"] == f"{shared_by_l2}\n"
    for index in range(4):  # where one is missing the host's would be read
        assert {f"{cpu}/cpu3/cache/index{index}/{name}" for name in ("level", "type", "size")} <= files.keys()


def test_the_table_of_counts_fits_a_terminal() -> None:
    long = "models/" + 99 * "x" + ".tflite"
    counts = {"models/ic.tflite": {3: 5_022_774, 4: 4_333_073, 5: 1_510_674}, long: {3: 10**11, 4: 1, 5: 2}}
    title, head, first, second = count_table(counts).splitlines()
    assert "no milliseconds" in title
    assert head.split() == ["model", "Pi", "3", "Pi", "4", "Pi", "5"]
    assert first.split() == ["ic.tflite", "5.023", "4.333", "1.511"]
    assert len(head) == len(first) == len(second) <= 80
    assert "… 100000.000" in second


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Building without the network; returns the suites for which Debian was unpacked."""
    unpacked: list[str] = []

    def debian(root: Path, suite: str, mirror: str) -> None:
        (root / "usr" / "bin").mkdir(parents=True)
        if mirror == "broken":
            raise UnavailableError("no network")
        unpacked.append(suite)

    monkeypatch.setattr(emulated_pi_root, "_unpack_debian", debian)
    monkeypatch.setattr(emulated_pi_root, "_unpack_wheels", lambda site, suite, requirements: site.mkdir())
    monkeypatch.setenv("EDGECNN_DEBIAN_MIRROR", "http://mirror.example/debian")
    return unpacked


def test_a_tree_is_built_once_and_replaced_when_its_parts_change(tmp_path: Path, parts: list[str]) -> None:
    tree = tmp_path / "cache" / "pi"
    assert build(tree, suite="bookworm")
    assert not build(tree, suite="bookworm")
    assert python_version(tree) == "3.11"
    assert "0xd0b" in (tree / "pi5/proc/cpuinfo").read_text("utf-8")
    assert (tree / "pi3/usr/bin").resolve() == (tree / "root/usr/bin").resolve()
    assert build(tree, suite="trixie")
    assert python_version(tree) == "3.13"
    assert parts == ["bookworm", "trixie"]
    assert list(tree.parent.iterdir()) == [tree]


def test_a_build_that_fails_changes_nothing(tmp_path: Path, parts: list[str]) -> None:
    tree = tmp_path / "pi"
    with pytest.raises(UnavailableError):
        build(tree, mirror="broken")
    assert list(tmp_path.iterdir()) == []
    build(tree)
    with pytest.raises(UnavailableError):
        build(tree, suite="trixie", mirror="broken")
    assert python_version(tree) == "3.11"
    assert list(tmp_path.iterdir()) == [tree]


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path, parts: list[str]) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(EmulationError, match="holds something else"):
        build(tmp_path)
    assert parts == []
    with pytest.raises(EmulationError, match="no emulated Pi in"):
        python_version(tmp_path)


@pytest.mark.parametrize(
    "arguments", [["setup"], ["build", "tree"], ["run", "tree", "4", "--help"], ["count", "tree", "a"]]
)
def test_other_systems_are_told_in_one_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert main(arguments) == 3
    assert capsys.readouterr().err == "No emulated Pi: needs Linux on x86_64, this is Darwin on arm64\n"


@pytest.mark.parametrize(
    ("here", "user", "reason"),
    [({}, 0, "needs apt-get"), ({"apt-get", "dpkg-query"}, 1000, "needs root to install qemu-user, ")],
)
def test_setup_says_why_it_cannot(
    here: set[str], user: int, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("shutil.which", lambda program: program if program in here else None)
    monkeypatch.setattr("os.geteuid", lambda: user)
    nothing: Any = lambda command, **_: subprocess.CompletedProcess(command, 1, "", "")  # noqa: E731
    monkeypatch.setattr("subprocess.run", nothing)
    assert main(["setup"]) == 3
    error = capsys.readouterr().err
    assert error.startswith(f"No emulated Pi: {reason}")
    assert error.count("\n") == 1


def test_only_the_first_error_of_a_program_is_told() -> None:
    assert failure_line("W: odd\nE: no such suite\nE: failed\n") == "E: no such suite"
    assert failure_line("Traceback\n  line 1\nValueError: bad\n\n") == "ValueError: bad"
    assert failure_line("") == "no reason given"
