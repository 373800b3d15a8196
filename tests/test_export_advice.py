"""What a bundle says of its int8 file, from made-up measurements."""

import exported
from compress_export.advice import advise_int8, advise_size
from compress_export.bundle import Variant

CENSUS = {"convolutions": 4, "integer_convolutions": 4, "products": 1, "integer_products": 1}


def advice(before=0.9, after=0.9, max_drop=1.0, agreement=0.99, **census):
    """Advice for 200 validation images."""
    float32, int8 = (
        Variant(
            role=role,
            file=file,
            precision=precision,
            model=exported.loaded(exported.trained()),
            validation={"accuracy": accuracy, "n": 200},
        )
        for role, file, precision, accuracy in (
            ("student", "student.onnx", "float32", before),
            ("student_int8", "student.int8.onnx", "int8", after),
        )
    )
    return advise_int8(float32, int8, {**CENSUS, "agreement": agreement, **census}, max_drop)


def test_nothing_is_said_where_all_is_well():
    assert advice() == []
    assert advise_size(60, 60) == []


def test_a_large_drop_is_advised_against_with_its_numbers():
    (sentence,) = advice(before=0.905, after=0.88, max_drop=2.0)
    assert sentence == (
        "int8 loses 2.50 points of validation accuracy (90.50 % float32, 88.00 % int8, "
        "200 images; --max-drop 2): deploy student.onnx (float32)"
    )


def test_a_drop_within_what_is_allowed_is_not_mentioned():
    assert advice(before=0.905, after=0.89, max_drop=2.0) == []


def test_low_agreement_is_said_even_where_accuracy_is_kept():
    (sentence,) = advice(agreement=0.945)
    assert sentence.startswith("int8 agrees with float32 on only 94.5 % of 200 validation images")
    assert "--calibration-images" in sentence
    assert advice(agreement=0.95) == []


def test_layers_that_stay_float_are_counted_by_kind():
    (sentence,) = advice(integer_convolutions=2, integer_products=0)
    assert sentence.startswith(
        "2 of 4 convolutions and 1 of 1 matrix products (Gemm, MatMul) stay float in "
        "student.int8.onnx: "
    )


def test_products_alone_that_stay_float_are_enough_for_the_advice():
    (sentence,) = advice(integer_products=0)
    assert sentence.startswith("0 of 4 convolutions and 1 of 1 matrix products")


def test_a_network_without_convolutions_is_told_of_its_products_only():
    (sentence,) = advice(convolutions=0, integer_convolutions=0, products=3)
    assert sentence.startswith("2 of 3 matrix products (Gemm, MatMul) stay float")


def test_a_cut_of_the_test_images_is_said():
    assert advise_size(325, 4000) == [
        "measured on 325 of 4000 test images, class-balanced, to keep evaluation.npz under 64 MB"
    ]
