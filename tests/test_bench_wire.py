"""Names, shapes and files of weights, read from an ONNX file's bytes and held against onnx."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import proof_case
from compress.errors import ArtifactError
from compress_bench.graph.onnx_wire import external_files, read_graph
from compress_bench.graph.weights import count_parameters


def saved(model, path):
    onnx.save(model, path)
    return path


def test_operators_and_constants_are_those_that_onnx_reads(tmp_path):
    model = proof_case.quantized(proof_case.gated())
    found = read_graph(saved(model, tmp_path / "net.onnx"))
    assert [(n.name, n.operator, n.inputs, n.outputs) for n in found.nodes] == [
        (n.name, n.op_type, tuple(n.input), tuple(n.output)) for n in model.graph.node
    ]
    assert [(t.name, t.dims) for t in found.tensors] == [
        (t.name, tuple(t.dims)) for t in model.graph.initializer
    ]
    assert {t.type for t in found.tensors} == {"float", "uint8", "int8"}


def test_a_body_and_a_constant_are_read_too(tmp_path):
    weight = numpy_helper.from_array(np.zeros((3, 5), np.float16), "inner")
    body = helper.make_graph(
        [
            helper.make_node("Constant", [], ["held"], value=weight),
            helper.make_node("Identity", ["held"], ["out"], name="copy"),
        ],
        "body",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT16, [3, 5])],
    )
    choice = helper.make_node("If", ["which"], ["y"], then_branch=body, else_branch=body)
    graph = helper.make_graph(
        [choice],
        "net",
        [helper.make_tensor_value_info("which", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, [3, 5])],
    )
    found = read_graph(saved(helper.make_model(graph), tmp_path / "net.onnx"))
    assert [node.operator for node in found.nodes] == ["If", *["Constant", "Identity"] * 2]
    assert [(t.name, t.dims, t.type, t.elements) for t in found.tensors] == [
        ("held", (3, 5), "float16", 15)
    ] * 2


def test_torchs_note_of_the_module_is_read(tmp_path):
    model = proof_case.gated()
    for node, note in zip(
        model.graph.node, ("['', 'a', 'a.0', 'conv2d']", "['', 'mul']", None), strict=True
    ):
        if note is not None:
            entry = node.metadata_props.add()
            entry.key, entry.value = "pkg.torch.onnx.name_scopes", note
    found = read_graph(saved(model, tmp_path / "net.onnx"))
    assert [node.module for node in found.nodes] == ["a.0", "", None]


def test_files_that_hold_weights_are_named_whether_they_exist_or_not(tmp_path):
    path = tmp_path / "net.onnx"
    model = proof_case.gated()
    onnx.save(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    assert external_files(path) == [tmp_path / "net.data"]
    (tmp_path / "net.data").unlink()
    assert external_files(path) == [tmp_path / "net.data"]


def test_a_name_within_weights_is_no_file(tmp_path):
    """The bytes of an entry that names a file, in a weight's values."""
    model = proof_case.gated()
    model.graph.initializer[0].raw_data = b"\n\x08location\x12\x08net.data" + bytes(557)
    assert external_files(saved(model, tmp_path / "net.onnx")) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot mmap an empty file"),
        (b"no graph", "wire type"),
        (b"\x08\x0a", "0 graphs"),
        (b"\x3a\x80", "without an end"),
        (b"\x3a\x05\x0a", "5 bytes"),
    ],
)
def test_bytes_that_are_no_network_are_one_clear_error(tmp_path, content, reason):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"net\.onnx: expected an ONNX file, .*{reason}"):
        read_graph(tmp_path / "net.onnx")


def test_a_file_cut_off_anywhere_is_refused_or_read_as_less(tmp_path):
    """Whatever the place: never another error, and never an endless loop."""
    whole = saved(proof_case.gated(), tmp_path / "net.onnx").read_bytes()
    refused = 0
    for length in range(0, len(whole), 7):
        (tmp_path / "cut.onnx").write_bytes(whole[:length])
        try:
            read_graph(tmp_path / "cut.onnx")
        except ArtifactError:
            refused += 1
    assert refused == len(range(0, len(whole), 7))


def test_parameters_of_a_float_file_are_its_constants_with_an_axis(tmp_path):
    model = proof_case.graph(
        """(float[n, 4, 8, 8] input) => (float[n, 4, 8, 8] logits) {
            a = Conv <pads = [1, 1, 1, 1]> (input, w, b)
            c = Mul (a, half)
            d = BatchNormalization (c, s, s, m, v)
            logits = Reshape (d, shape)
        }""",
        ("conv", "mul", "norm", "shape"),
        w=proof_case.weight(4, 4, 3, 3),
        b=proof_case.weight(4),
        s=proof_case.weight(4),
        half=np.float32(0.5),
        m=proof_case.weight(4),
        v=np.ones(4, np.float32),
        shape=np.array([0, 4, 8, 8]),
    )
    # 144 weights, 4 biases, 4 factors that serve as the bias too; not 0.5, not the mean and
    # variance, not the shape
    assert count_parameters(saved(model, tmp_path / "net.onnx")) == 152


def test_parameters_of_a_quantised_file_are_its_weights_without_their_scales(tmp_path):
    model = proof_case.gated()
    model.graph.node[0].input.append("bias")
    model.graph.initializer.append(numpy_helper.from_array(np.ones(4, np.float32), "bias"))
    found = count_parameters(saved(proof_case.quantized(model), tmp_path / "net.onnx"))
    assert found == 2 * 4 * 4 * 9 + 4
