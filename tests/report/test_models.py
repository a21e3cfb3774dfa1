"""Records of one model must find each other by its SHA-256, and only those."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecnn.report.models import belong_together, common_data, models_of, names_of, short_names
from tests.report import measured, samples
from tests.report.samples import FLOAT, OUTPUT


def test_all_records_of_a_pair_become_two_models() -> None:
    records = [
        samples.benchmark(0.3, sha256=FLOAT, threads=2),
        samples.benchmark(0.2, sha256=FLOAT),
        samples.evaluation(sha256=OUTPUT, top1=0.9, top1_ci95=[0.88, 0.92]),
        measured.comparison(),
        samples.conversion(),
    ]
    base, output = models_of(records)
    assert (base.name, output.name) == ("pets.keras", "pets_int8.tflite")
    assert base.hashes == {"ef" * 32, FLOAT}
    assert (base.base, output.base) == (None, base)
    assert (base.size, base.gzip, output.size, output.gzip) == (318_144, 291_022, 98_496, 81_400)
    assert base.timing is not None
    assert output.timing is not None
    assert (base.timing["p50_ms"], output.timing["p50_ms"]) == (0.2, 0.1)  # one thread; the conversion's own
    assert output.agreement == 0.95
    assert belong_together([base, output])


def test_an_evaluation_counts_more_than_what_a_conversion_measured_on_the_same_images() -> None:
    evaluation = samples.evaluation(sha256=OUTPUT, top1=0.9)
    for records in ([samples.conversion(), evaluation], [evaluation, samples.conversion()]):
        output = models_of(records)[1]
        data = (("cat", "dog", "bird"), "test", 120)
        assert output.accuracies[data].top1 == 0.9


def test_only_timings_of_one_kind_of_run_are_compared() -> None:
    alone = samples.benchmark(0.05, sha256=OUTPUT)  # without the float model: another run, another mood
    base, output = models_of([samples.conversion(), alone])
    found = base.timed_with(output)
    assert found is not None
    assert [timing["p50_ms"] for timing in found] == [0.25, 0.1]
    both = [samples.benchmark(0.3, sha256=FLOAT, threads=2), samples.benchmark(0.2, sha256=OUTPUT, threads=2)]
    base, output = models_of([samples.conversion(), alone, *both])
    found = base.timed_with(output)
    assert found is not None
    assert [timing["p50_ms"] for timing in found] == [0.3, 0.2]
    base, output = models_of([samples.conversion(benchmark=None), alone])
    assert base.timed_with(output) is None


def test_a_training_is_joined_with_the_conversion_of_its_file() -> None:
    models = models_of([samples.conversion(), measured.training()])
    assert [model.name for model in models] == ["pets.keras", "pets_int8.tflite"]
    assert belong_together(models)


def test_records_of_different_models_do_not_belong_together() -> None:
    assert not belong_together(models_of([samples.evaluation(), samples.benchmark()]))
    assert not belong_together(models_of([samples.benchmark(threads=1), samples.benchmark(threads=2)]))
    assert not belong_together(models_of([samples.conversion()]))
    assert belong_together(models_of([samples.evaluation(), samples.benchmark(sha256="ab" * 32)]))


def test_two_conversions_of_a_model_share_their_float() -> None:
    other = samples.conversion(sha256="77" * 32, output="out/dynamic.tflite", evaluation=None, benchmark=None)
    models = models_of([samples.conversion(), other])
    assert [model.name for model in models] == ["pets.keras", "pets_int8.tflite", "dynamic.tflite"]
    assert models[1].base is models[2].base is models[0]
    assert belong_together(models)


def test_a_model_compared_with_itself_is_no_base_of_its_own() -> None:
    same = {"model": "a.tflite", "sha256": "aa", "size_bytes": 1}
    (model,) = models_of([measured.comparison(float=same, quantized=same)])
    assert model.base is None


def test_two_models_compared_both_ways_do_not_go_round_in_a_circle() -> None:
    record = measured.comparison()
    turned = record | {"float": record["quantized"], "quantized": record["float"]}
    base, output = models_of([record, turned])
    assert (base.base, output.base) == (None, base)


def test_accuracies_are_compared_on_the_data_that_most_models_have() -> None:
    small = [samples.evaluation(sha256=name, model=f"{name}.tflite") for name in "ab"]
    large = samples.evaluation([[300, 0, 0], [0, 300, 0], [0, 0, 300]], sha256="c")
    models = models_of([*small, large])
    assert common_data(models) == (("cat", "dog", "bird"), "test", 120)
    assert common_data(models_of([large])) == (("cat", "dog", "bird"), "test", 900)
    assert common_data([]) is None


def test_names_are_short_where_that_tells_them_apart() -> None:
    pair = [samples.benchmark(model=f"x/pets-{name}.tflite") for name in ("float", "int8")]
    assert short_names(pair) == ["float", "int8"]
    assert names_of(pair) == ["pets-float.tflite", "pets-int8.tflite"]
    twice = [samples.benchmark(threads=1), samples.benchmark(threads=2)]
    assert short_names(twice) == names_of(twice) == ["pets.tflite, 1\u00a0thread", "pets.tflite, 2\u00a0threads"]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(samples.records(), max_size=3))
def test_every_hash_belongs_to_one_model(records: list[samples.Record]) -> None:
    models = models_of(records)
    known = [name for model in models for name in model.hashes]
    for record in records:
        if record["schema"] in ("edgecnn.evaluate/1", "edgecnn.benchmark/1", "edgecnn.train/1"):
            assert record["sha256"] in known
    assert all(model.base is not model for model in models)
