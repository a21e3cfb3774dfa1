"""Small records with everything that `evaluate`, `compare`, `benchmark`, `train`, `camera`, … may measure."""

import copy
import math
from typing import Any

from tests.report.samples import FLOAT, LABELS, MACHINE, OUTPUT, PICTURE, VERSIONS, Record, benchmark, evaluation

PAIR = ["cat", "dog"]


def calibration(error: float = 0.04) -> Record:
    """Scores that lie `error` above what is right, in bins of which the lower half is empty."""
    bins: list[Record] = []
    for index in range(15):
        low, high = index / 15, (index + 1) / 15
        middle, count = (low + high) / 2, 10 * (index - 7) if index > 7 else 0
        filled = {"confidence": middle, "accuracy": max(0.0, middle - error)} if count else {}
        bins.append({"low": low, "high": high, "count": count, "confidence": None, "accuracy": None} | filled)
    return {"ece": error, "mce": 2 * error, "brier": 0.21, "nll": 0.44, "bins": bins}


def full_evaluation(**changes: Any) -> Record:
    """An `evaluate` record of two classes with averages, areas, curves, calibration and bootstrapped intervals."""
    record = evaluation(
        [[50, 10], [5, 55]], PAIR, sha256=OUTPUT, model="out/pets_int8.tflite", skipped=0, skipped_images=[]
    )
    for entry in record["per_class"]:
        entry |= {"roc_auc": 0.95, "average_precision": 0.94}
    macro = {key: record[key] for key in ("precision", "recall", "f1")}
    record |= {
        "averages": {"macro": macro, "weighted": {"precision": 0.871, "recall": 0.862, "f1": 0.863}},
        "roc_auc": 0.9512,
        "average_precision": 0.9433,
        "curves": {
            "positive": "dog",
            "roc": [[0.0, 0.0], [0.0, 0.5], [0.1, 0.9], [0.4, 1.0], [1.0, 1.0]],
            "pr": [[0.0, 1.0], [0.5, 1.0], [0.9, 0.9], [1.0, 0.5]],
        },
        "calibration": calibration(),
        "intervals": {key: [0.8, 0.92] for key in ("top1", "precision", "recall", "f1")} | {"ece": [0.01, 0.07]},
        "bootstrap": {"resamples": 1000, "seed": 0},
    }
    return record | copy.deepcopy(changes)


def flip(kind: str | None = "broken", **changes: Any) -> Record:
    """An image with another label from the second model."""
    labels = {"broken": ("cat", "cat", "dog"), "fixed": ("cat", "dog", "cat"), "both wrong": ("bird", "cat", "dog")}
    label, before, after = labels.get(kind or "", (None, "cat", "dog"))
    record: Record = {
        "image": f"test/{label}/1.jpg",
        "label": label,
        "float": {"label": before, "score": 0.61},
        "quantized": {"label": after, "score": 0.55},
        "kind": kind,
        "thumbnail": PICTURE,
    }
    return record | copy.deepcopy(changes)


def comparison(**changes: Any) -> Record:
    """A `compare` record of 1,000 images: 30 broken, 12 corrected, 3 wrong both times."""
    flips = [flip(kind) for kind in ("fixed", "both wrong", "broken")] + [flip(thumbnail=None)]
    record: Record = {
        "schema": "edgecnn.compare/1",
        "float": {"model": "out/pets-float.tflite", "sha256": FLOAT, "size_bytes": 318_144},
        "quantized": {"model": "out/pets-int8.tflite", "sha256": OUTPUT, "size_bytes": 98_496},
        "data": "pets",
        "split": "test",
        "samples": 1000,
        "skipped": 1,
        "skipped_images": [{"image": "cat/7.jpg", "reason": "the file is truncated"}],
        "labels": LABELS,
        "agreement": 0.955,
        "float_top1": 0.85,
        "float_ci95": [0.8265, 0.8708],
        "quantized_top1": 0.832,
        "quantized_ci95": [0.8076, 0.8539],
        "drop_pp": 1.8,
        "drop_ci95": [0.52, 3.07],
        "mcnemar": {
            "both_right": 820,
            "only_float": 30,
            "only_quantized": 12,
            "both_wrong": 138,
            "p_value": 0.0081,
            "method": "exact",
        },
        "flips": flips,
        "per_class": [
            {
                "label": label,
                "index": index,
                "support": 300 + index,
                "float_recall": 0.85,
                "quantized_recall": 0.85 - index / 50,
                "recall_change_pp": -2.0 * index,
                "float_f1": 0.84,
                "quantized_f1": 0.84 - index / 50,
                "flips": 5 * index,
            }
            for index, label in enumerate(LABELS)
        ],
        "drift": {
            "mean_abs": 0.012,
            "p99_abs": 0.11,
            "max_abs": 0.31,
            "mean": -0.004,
            "width": 0.02,
            "histogram": [[-0.31, 1], [-0.03, 40], [-0.01, 900], [0.01, 58], [0.03, 1]],
        },
        "verdict": "int8 loses 1.80 points of float's accuracy.",
        "preprocess": {
            "float": {"source": "card", "detail": "raw, as the model file says", "samples": 0, "candidates": []},
            "quantized": None,
        },
        "max_drop": None,
        "within_budget": True,
        "notes": ["labels are matched by name"],
    }
    return record | copy.deepcopy(changes)


def operators(count: int = 3) -> list[Record]:
    """Operators of a profile, the later ones faster."""
    kinds = ("CONV_2D", "ADD", "SOFTMAX")
    spent = [0.1 / (index + 1) for index in range(count)]
    return [
        {
            "index": index,
            "op": kinds[index % 3],
            "name": f"layer_{index}",
            "ms": ms,
            "share": ms / sum(spent),
            "macs": None if index % 3 else 1_000_000,
        }
        for index, ms in enumerate(spent)
    ]


def sustained(windows: int = 30) -> list[Record]:
    """A run that gets hotter, and slower in its last third."""
    return [
        {
            "seconds": 5.0 * (index + 1),
            "runs": 4000 - 30 * index,
            "p50_ms": 0.25 + 0.1 * (index > 2 * windows / 3),
            "p99_ms": 0.4 + 0.05 * math.sin(index) + 0.2 * (index > 2 * windows / 3),
            "temperature_c": 50 + 32 * (1 - math.exp(-index / 8)),
            "clock_mhz": 1800.0 if index <= 2 * windows / 3 else 1200.0,
            "throttled": index > 2 * windows / 3,
        }
        for index in range(windows)
    ]


def full_benchmark(p50: float = 0.1, **changes: Any) -> Record:
    """A `benchmark` record with ratio, work, profile, a long run and a gate that is not passed."""
    record = benchmark(p50, sha256=OUTPUT, model="out/pets-int8.tflite") | {
        "warmup": {"runs": 33, "steady": True},
        "input": "12 images of photos",
        "ratio": {
            "to": "out/pets-float.tflite",
            "to_threads": 1,
            "value": 2.5,
            "ci95": [2.4, 2.6],
            "undisturbed": 2.5,
            "rounds": 200,
        },
        "macs": 12_501_632,
        "gmacs_per_s": 125.0,
        "peak": {"gmacs_per_s": 200.0, "share": 0.625, "dtype": "int8"},
        "profile": {"total_ms": 0.18, "method": "each operator as a model of its own", "operators": operators()},
        "sustained": sustained(),
        "top1": 0.84,
        "gate": [
            {"rule": "p50>+10%", "baseline": 0.08, "value": p50, "change": "+25.0 %", "passed": False},
            {"rule": "top1<-1", "baseline": None, "value": 0.84, "change": None, "passed": True},
        ],
    }
    return record | copy.deepcopy(changes)


def training(epochs: int = 12, **changes: Any) -> Record:
    """A `train` record whose third epoch from the end was kept."""
    history: list[Record] = [
        {
            "epoch": epoch,
            "loss": 2.0 / epoch,
            "accuracy": 1 - 0.8 / epoch,
            "val_loss": 2.1 / epoch + 0.1,
            "val_accuracy": 1 - 0.9 / epoch,
            "learning_rate": 1e-3 / epoch,
            "seconds": 1.5,
        }
        for epoch in range(1, epochs + 1)
    ]
    metrics = {key: value for key, value in evaluation().items() if key not in ("schema", "model", "sha256", "data")}
    del metrics["split"]
    record: Record = {
        "schema": "edgecnn.train/1",
        "model": "models/pets.keras",
        "sha256": "ef" * 32,
        "size_bytes": 400_000,
        "logs": "models/pets.training",
        "arch": "lenet5",
        "parameters": 21_386,
        "label_names": LABELS,
        "preprocess": {"width": 32, "height": 32},
        "preprocess_spec": "unit,size=32x32,rgb,stretch",
        "options": {"epochs": epochs, "teacher": None, "learning_rate": 0.001},
        "pictures": {"train": 1439, "val": 179},
        "epochs": epochs,
        "kept_epoch": max(1, epochs - 2),
        "history": history,
        "split": "test",
        "evaluation": metrics,
        "device": "Keras 3 on tensorflow",
        "seconds": 1.5 * epochs,
        "versions": VERSIONS,
        "notes": ["no test split: 80 % of every class are train"],
    }
    return record | copy.deepcopy(changes)


def camera(**changes: Any) -> Record:
    """A `camera` record of a run on a board that slowed itself down."""
    record: Record = {
        "schema": "edgecnn.camera/1",
        "frames": 600,
        "fps": 25.5,
        "seconds": 23.5,
        "p50_ms": 2.5,
        "p90_ms": 4.0,
        "age_p50_ms": 3.9,
        "age_p90_ms": 17.3,
        "stages": {"read_ms": 4.6, "preprocess_ms": 0.4, "invoke_ms": 2.0, "postprocess_ms": 0.1},
        "labels": {"cat": 500, "unknown": 100},
        "dropped": 11,
        "skipped": 1,
        "reconnects": 1,
        "threads": 2,
        "hottest_c": 81.2,
        "temperature_c": 79.0,
        "throttled": ["throttled now"],
        "source": "0",
        "model": "out/pets_int8.tflite",
        "saved": 3,
        "full": False,
        "left_out": 2,
        "drift": {"begun": 2, "seconds": {"dark": 12.3, "blurred": 4.0}, "now": None},
    }
    return record | copy.deepcopy(changes)


ARCHITECTURE: Record = {
    "input": [32, 32, 3],
    "parameters": 78_666,
    "macs": 12_501_632,
    "operators": [
        {"op": "CONV_2D", "count": 9, "macs": 12_500_992},
        {"op": "ADD", "count": 3, "macs": None},
        {"op": "FULLY_CONNECTED", "count": 1, "macs": 640},
    ],
    "layers": [
        {"name": "stem", "op": "CONV_2D", "output": [1, 32, 32, 16], "parameters": 448, "macs": 442_368},
        {"name": "add", "op": "ADD", "output": [1, 32, 32, 16], "parameters": None, "macs": None},
    ],
}
CONFIDENCE: Record = {
    "temperature": 1.412,
    "unknown_below": 0.46,
    "kept_right": 0.951,
    "samples": 500,
    "split": "val",
    "ece_before": 0.0613,
    "ece_after": 0.0118,
}


def explanation(image: str = "photos/tom.jpg", correlation: float | None = 0.93, **changes: Any) -> Record:
    """An `explain` record of the float model and its int8 form."""
    side: Record = {
        "model": "out/pets-float.tflite",
        "sha256": FLOAT,
        "label": "cat",
        "index": 0,
        "score": 0.91,
        "method": "rise",
        "size": [224, 224],
        "mass": 0.42,
        "map": [[0.0, 0.25], [0.5, 1.0]],
        "overlay": PICTURE,
        "seconds": 3.2,
    }
    other = side | {"model": "out/pets-int8.tflite", "sha256": OUTPUT, "score": 0.88, "mass": 0.4}
    record: Record = {
        "schema": "edgecnn.explain/1",
        "image": image,
        **side,
        "picture": PICTURE,
        "against": other | {"correlation": correlation, "rank_correlation": 0.87},
        "features": [{"layer": "conv2d_3", "shown": 16, "channels": 64, "picture": PICTURE}],
        "notes": [],
        "samples": 1000,
        "seed": 0,
    }
    return record | copy.deepcopy(changes)


def robustness(**changes: Any) -> Record:
    """A `robustness` record of a float model and its int8: two corruptions, two attacks and a patch."""
    both = [[0.6, 0.62], [0.55, 0.58]]
    attack: Record = {"epsilon": 8 / 255, "norm": "Linf", "crafted_on": "pets.keras", "top1_ci95": both, "samples": 200}
    record: Record = {
        "schema": "edgecnn.robustness/1",
        "models": [
            {"model": "pets.keras", "sha256": FLOAT, "kind": "float", "preprocess": None},
            {"model": "out/pets_int8.tflite", "sha256": OUTPUT, "kind": "int8", "preprocess": None},
        ],
        "names": ["float", "int8"],
        "data": "pets",
        "split": "test",
        "samples": 200,
        "skipped": 1,
        "skipped_images": [{"image": "test/cat/9.jpg", "reason": "damaged"}],
        "clean": [0.9, 0.88],
        "clean_ci95": [[0.85, 0.94], [0.83, 0.92]],
        "size": [96, 96],
        "corruptions": [
            {
                "name": "gaussian_noise",
                "kind": "noise",
                "severities": [1, 3, 5],
                "top1": [[0.8, 0.6, 0.4], [0.7, 0.5, 0.3]],
                "top1_ci95": [[[0.7, 0.9]] * 3] * 2,
            },
            {"name": "jpeg_compression", "kind": "digital", "severities": [1, 5], "top1": [[0.9, 0.8], [0.9, 0.7]]},
        ],
        "mce": [1.0, 1.25],
        "relative_mce": [1.0, None],
        "attacks": [
            attack | {"name": "fgsm", "steps": 1, "top1": [0.2, 0.25]},
            attack | {"name": "pgd", "steps": 10, "top1": [0.05, 0.1]},
        ],
        "patch": {
            "share": 0.1,
            "side": 30,
            "aim": "cat",
            "crafted_on": "pets.keras",
            "trained_on": 512,
            "trained_split": "train",
            "top1": [0.3, 0.45],
            "top1_ci95": [[0.24, 0.37], [0.38, 0.52]],
            "noise_top1": [0.7, 0.71],
            "hits": [0.6, 0.4],
            "samples": 200,
            "picture": PICTURE,
        },
        "extra": [
            {"model": 1, "condition": "corruptions", "points": 4.0, "ci95": [1.5, 6.5]},
            {"model": 1, "condition": "fgsm", "points": -7.0, "ci95": [-12.0, -2.0]},
            {"model": 1, "condition": "pgd", "points": -7.0, "ci95": [-14.5, 0.5]},
            {"model": 1, "condition": "patch", "points": -17.0, "ci95": [-23.0, -11.0]},
        ],
        "verdict": "Under corruption int8 loses 4.0 points more than float (95 %: 1.5 to 6.5).",
        "seed": 0,
        "notes": ["the models cut pictures to different sizes"],
    }
    return record | copy.deepcopy(changes)


EVERYTHING = (full_evaluation(), comparison(), full_benchmark(), training(), camera(), explanation(), robustness())
MACHINE_OF_OTHERS: Record = MACHINE | {"cpu": "Other CPU"}
