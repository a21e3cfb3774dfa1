"""Small records of what compression did: stages, a ladder, the sensitivity of layers."""

import copy
from typing import Any

from tests.report.samples import Record, conversion


def rung(name: str = "int8", points: float = 0.4, **changes: Any) -> Record:
    """A rung of a ladder that loses `points` give or take 0.3."""
    record: Record = {
        "name": name,
        "detail": "plain min-max ranges",
        "accuracy": 0.85 - points / 100,
        "drop": {"points": points, "low": points - 0.3, "high": points + 0.3},
        "agreement": 0.97,
        "inside": points + 0.3 <= 0.5,
        "size_bytes": 98_000,
        "gzip_bytes": 80_000,
        "p50_ms": 0.1,
        "float_layers": [],
        "failed": "",
    }
    return record | copy.deepcopy(changes)


def layer(name: str = "conv", divergence: float = 0.02, **changes: Any) -> Record:
    """What int8 does to one layer."""
    record: Record = {
        "layer": name,
        "kinds": ["CONV_2D"],
        "divergence": divergence,
        "agreement": 0.95,
        "output_sqnr_db": 24.25,
        "layer_sqnr_db": 31.5,
        "top1_drop": 1.5,
        "reason": "",
    }
    return record | copy.deepcopy(changes)


def ladder(**changes: Any) -> Record:
    """A ladder whose fourth rung, after one that failed, keeps half a point; a fifth was not tried."""
    none: Record = {"accuracy": None, "drop": None, "agreement": 0.0, "size_bytes": 0, "gzip_bytes": 0, "p50_ms": 0.0}
    record: Record = {
        "max_drop": 0.5,
        "inside": True,
        "taken": 3,
        "float": rung("float", 0.0, detail="the float model", size_bytes=318_144),
        "rungs": [
            rung("int8", 0.4),
            rung("ranges", 0.25, detail="99% quantile of the extremes"),
            rung("equalize", detail="no model", failed="the quantizer knows no such layer", **none),
            rung("float-layers", -0.1, detail="in float: stem", float_layers=["stem"], size_bytes=120_000),
        ],
        "skipped": [{"rung": "qat", "reason": "there is no Keras model to train"}],
        "sensitivity": [
            layer("stem", top1_drop=None),
            layer("conv", 0.01, top1_drop=None),
            layer("odd", 0.0, top1_drop=None, reason="the quantizer knows no such layer"),
        ],
    }
    return record | copy.deepcopy(changes)


def channel_stage(**changes: Any) -> Record:
    """Channels pruned to a third of the multiply-accumulates."""
    groups: list[Record] = [
        {"layers": ["stem", "project"], "before": 32, "after": 16, "reason": ""},
        {"layers": ["logits"], "before": 3, "after": 3, "reason": "its channels are the output of the model"},
    ]
    record: Record = {
        "technique": "channel",
        "epochs": 3,
        "importance": "magnitude",
        "macs_before": 3_000_000,
        "macs": 1_000_000,
        "parameters_before": 80_000,
        "parameters": 40_000,
        "groups": groups,
    }
    return record | copy.deepcopy(changes)


def qat_stage(**changes: Any) -> Record:
    """Training with int8, in a file that computes what was trained."""
    record: Record = {
        "technique": "qat",
        "epochs": 1,
        "changed": [{"layer": "stem", "change": "8-bit weights"}],
        "skipped": [{"layer": f"scale_{index}", "reason": "no such layer in int8"} for index in range(5)],
        "against_trained": {
            "samples": 32,
            "agreement": 0.96875,
            "max_abs_difference": 0.02,
            "first_layer": "",
            "worst_layer": "logits",
        },
    }
    return record | copy.deepcopy(changes)


def compressed(**changes: Any) -> Record:
    """A `convert` record with two stages before a ladder."""
    plain: Record = {
        "size_bytes": 98_000,
        "gzip_bytes": 80_000,
        "macs": 3_000_000,
        "parameters": 80_000,
        "sparsity": 0.01,
        "p50_ms": 0.1,
    }
    output = plain | {"size_bytes": 49_000, "gzip_bytes": 41_000, "macs": 1_000_000, "parameters": 40_000}
    words = ["file: 2.00 x smaller", "gzip: 1.95 x smaller", "latency: no gain from pruning"]
    record = conversion(
        quantize="auto",
        max_drop=None,
        macs=1_000_000,
        float_macs=3_000_000,
        stages=[channel_stage(), qat_stage()],
        gains={"plain": plain, "output": output, "words": words},
        ladder=ladder(),
        layers_kept_float=["stem"],
    )
    record["accuracy"] |= {"output": record["accuracy"]["float"] - 0.001, "drop_pp": 0.1}
    return record | copy.deepcopy(changes)


def sensitivity(**changes: Any) -> Record:
    """A `sensitivity` record of two layers and one that cannot be quantized alone."""
    record: Record = {
        "schema": "edgecnn.sensitivity/1",
        "model": "models/pets.keras",
        "data": "pets",
        "split": "test",
        "samples": 1000,
        "calibration_samples": 300,
        "preprocess": {"source": "card", "detail": "unit, from the model", "samples": 0, "candidates": []},
        "float_top1": 0.85,
        "layers": [
            layer("stem", 0.02, agreement=0.96, top1_drop=2.5),
            layer("conv", 0.01, agreement=0.99, top1_drop=-0.1),
            layer("odd", 0.0, agreement=1.0, top1_drop=0.0, reason="the quantizer knows no such layer"),
        ],
    }
    return record | copy.deepcopy(changes)
