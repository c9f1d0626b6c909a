"""Weights from strangers: files that Paddle writes are read exactly; no other file executes or costs anything."""

import builtins
import codecs
import io
import os
import pickle
import resource
import shutil
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import paddle
import pytest
import safetensors.numpy
from conftest import ROOT, command_line

from paddle_gan.config.results import SampleConfig
from paddle_gan.errors import CheckpointError, UsageError
from paddle_gan.runs.generators import generator_with, load_generator
from paddle_gan.training.pdparams import read_pdparams
from paddle_gan.training.weights import load_weights, read_weights

RANDOM = np.random.default_rng(0)


def network() -> paddle.nn.Layer:
    return paddle.nn.Sequential(paddle.nn.Conv2D(2, 3, 3), paddle.nn.BatchNorm2D(3), paddle.nn.Linear(4, 5))


# What Paddle and NumPy write


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_state_dict_that_paddle_saved(protocol, tmp_path):
    state = network().state_dict()
    paddle.save(state, str(tmp_path / "w.pdparams"), protocol=protocol)
    read = read_pdparams(tmp_path / "w.pdparams")
    assert list(read) == list(state) and len(read) == 8
    for name, tensor in state.items():
        assert read[name].dtype == np.float32
        np.testing.assert_array_equal(read[name], tensor.numpy())


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_dict_of_tensors_and_arrays_that_paddle_saved(protocol, tmp_path):
    """Paddle writes a tensor as the pair (name, array) if the dict holds other things too."""
    given = {"tensor": paddle.arange(6).reshape([2, 3]), "array": RANDOM.random((4, 3))}
    paddle.save(given, str(tmp_path / "w.pdparams"), protocol=protocol)
    read = read_pdparams(tmp_path / "w.pdparams")
    np.testing.assert_array_equal(read["tensor"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(read["array"], given["array"])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("core", [b"numpy._core", b"numpy.core"])
def test_every_type_shape_and_order(protocol, core, tmp_path):
    """As NumPy 2 and NumPy 1 write it, which differ in a module's name. A tensor with two names is read once."""
    types = ("f2", "f4", "f8", "u2", "i1", "i2", "i4", "i8", "u1", "u4", "u8", "b1")
    given = OrderedDict((name, RANDOM.integers(0, 100, (3, 4, 5)).astype(name)) for name in types)
    given |= {
        "transposed": np.asfortranarray(RANDOM.random((30, 40))),
        "number": np.array(3.5),
        "none": np.ones((0, 3)),
    }
    given["twice"] = given["long"] = RANDOM.random((70, 10)).astype(np.float32)
    content = pickle.dumps(given, protocol)
    if core == b"numpy.core":  # a byte less in the counted names, as in the lines of protocol 2 and 3
        for module in (b".multiarray", b".numeric"):
            old, new = b"numpy._core" + module, b"numpy.core" + module
            content = content.replace(b"\x8c" + bytes([len(old)]) + old, b"\x8c" + bytes([len(new)]) + new)
            content = content.replace(b"c" + old, b"c" + new)
        assert core in content and b"numpy._core" not in content
    (tmp_path / "w.pdparams").write_bytes(content)
    read = read_pdparams(tmp_path / "w.pdparams")
    assert list(read) == list(given)
    for name, array in given.items():
        assert read[name].dtype == array.dtype and read[name].shape == array.shape
        np.testing.assert_array_equal(read[name], array)
        assert not read[name].flags.writeable
    assert np.shares_memory(read["twice"], read["long"])


def test_bfloat16_as_paddle_writes_it(tmp_path):
    layer = paddle.nn.Linear(2, 3)
    values = np.array([[1.0, -2.5, 0.15625], [3e38, 1e-30, 0.0]], np.float32)
    layer.weight.set_value(values)
    paddle.save(layer.to(dtype="bfloat16").state_dict(), str(tmp_path / "w.pdparams"))
    read = read_weights(tmp_path / "w.pdparams")
    assert read["weight"].dtype == np.uint16
    other = paddle.nn.Linear(2, 3)
    load_weights(other, read, tmp_path)
    np.testing.assert_allclose(other.weight.numpy(), values, rtol=2**-8)
    np.testing.assert_array_equal(other.weight.numpy()[0], values[0])  # these have few digits


# What others write


class Calls:
    """Unpickles by calling `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def reconstruct(shape: bytes) -> bytes:
    return b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + shape + b"\x85C\x01b\x87R."


def array(dtype: np.dtype, shape: tuple, content: bytes) -> bytes:
    """The pickle of a dict with one array whose header is a lie."""

    class Lies:
        def __reduce__(self):
            reduce = np.ones(1).__reduce__()
            return reduce[0], reduce[1], (1, shape, dtype, False, content)

    return pickle.dumps({"weight": Lies()}, 4)


class SameBytes:
    """Unpickles as an array with the content of the first one."""

    first: bytes

    def __init__(self, content: bytes | None):
        SameBytes.first = content or SameBytes.first

    def __reduce__(self):
        reduce = np.ones(1).__reduce__()
        return reduce[0], reduce[1], (1, (len(self.first) // 4,), np.dtype("f4"), False, self.first)


def zip_file() -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    return buffer.getvalue()


def attacks(marker: Path) -> dict[str, bytes]:
    """Hostile files; those that execute something create the file `marker`."""
    touch = f"open({str(marker)!r}, 'w').close()"
    shell = f"touch '{marker}'"
    good = pickle.dumps({"weight": np.arange(1000.0)}, 4)
    start, nothing, many = b"\x80\x04", b"N.", 5_000_000
    text = b"\x8c%c%b"
    posix_system = text % (5, b"posix") + text % (6, b"system") + b"\x93"
    objects = {
        "os.system": Calls(os.system, shell),
        "os.popen": Calls(os.popen, shell),
        "subprocess": Calls(subprocess.check_call, ["touch", str(marker)]),
        "eval": Calls(builtins.eval, touch),
        "exec": Calls(builtins.exec, touch),
        "paddle's own eval": Calls(builtins.eval, "data", {"data": Calls(builtins.exec, touch)}),
        "getattr": Calls(getattr, Calls(__import__, "os"), "system"),
        "map over a callable": Calls(list, Calls(map, builtins.exec, [touch])),
        "open": Calls(open, str(marker), "w"),
        "codecs": Calls(codecs.decode, touch.encode().hex(), "hex"),
        "numpy.load": Calls(np.load, str(marker), None, True),
        "bytearray of 8 GB": Calls(bytearray, 8 << 30),
        "range to list": Calls(list, range(1 << 33)),
        "a class": {"weight": Path("/etc/passwd")},
        "objects": {"weight": np.array([Calls(os.system, shell)], object)},
        "structured type": {"weight": np.zeros(2, [("a", "f4"), ("b", "i4")])},
        "type with metadata": {"weight": np.zeros(2, np.dtype("f4", metadata={"x": Calls(os.system, shell)}))},
        "text array": {"weight": np.array(["text"])},
        "dates": {"weight": np.array(["2020-01-01"], "M8[D]")},
        "attack in the name table": {"StructuredToParameterName@@": Calls(os.system, shell)},
    }
    return {
        **{name: pickle.dumps(thing, 2 + i % 4) for i, (name, thing) in enumerate(objects.items())},
        # The file that makes an allow-list of names allocate 8 GB.
        "_reconstruct of 8 GB": reconstruct(b"\x8a\x05\x00\x00\x00\x00\x02"),
        "_reconstruct of another shape": pickle.dumps({"weight": np.ones(1)}, 2).replace(b"K\x00\x85", b"K\x08\x85"),
        "ndarray called": start + text % (5, b"numpy") + text % (7, b"ndarray") + b"\x93J\xff\xff\xff\x7f\x85\x85R.",
        "array of 8 GB": array(np.dtype("f4"), (1 << 31,), b"1234"),
        "array of overflowing shape": array(np.dtype("f4"), (1 << 62, 4), b"1234"),
        "array of negative shape": array(np.dtype("f4"), (-1, -1), b"1234"),
        "array of no bytes and huge": array(np.dtype("f4"), (0, 1 << 62, 1 << 62), b""),
        "array of a thousand dimensions": array(np.dtype("f4"), (1,) * 1000, b"1234"),
        "nested tuples": start + b")" + b"\x85" * many + b".",
        "nested lists": start + b"]" * many + b"e" * many + b".",
        "nested tuple as a key": start + b"})" + b"\x85" * 90_000 + b"Ns.",
        "doubled by DUP": start + b")" + b"2\x86" * 60 + b".",
        "doubled by the memo": start + b")q\x00" + b"h\x00\x86q\x00" * 20_000 + b".",
        "marks": start + b"(" * many + b".",
        "dicts": start + b"}" * many + b".",
        "memo of two billion places": start + b"Nr\xff\xff\xff\x7f.",
        "huge LONG4": start + b"\x8b" + struct.pack("<i", 10_000_000) + b"\xff" * 10_000_000 + b".",
        "huge LONG in digits": start + b"L" + b"9" * 10_000_000 + b"L\n.",
        "declared BINBYTES8": start + b"\x8e" + struct.pack("<Q", 1 << 62) + b"1234.",
        "declared BINUNICODE8": start + b"\x8d" + struct.pack("<Q", 1 << 40) + b"1234.",
        "declared BYTEARRAY8": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"1234.",
        "declared FRAME": start + b"\x95" + struct.pack("<Q", 1 << 60) + nothing,
        "wide text": start + b"X" + struct.pack("<I", 40_000_000) + b"a" * 39_999_996 + "\N{GRINNING FACE}.".encode(),
        "texts": start + (text % (128, b"a" * 124 + "\N{GRINNING FACE}".encode())) * 99_000 + b".",
        "persistent id": start + b"\x8c\x01x\x51.",
        "persistent id in text": b"\x80\x02Pos.system\n.",
        "EXT1": start + b"\x82\x01.",
        "EXT4": start + b"\x84\x01\x00\x00\x00.",
        "STACK_GLOBAL": start + posix_system + text % (len(shell), shell.encode()) + b"\x85R.",
        "STACK_GLOBAL of a path": start + text % (5, b"numpy") + text % (10, b"os.execvpe") + b"\x93.",
        "STACK_GLOBAL of other things": start + b"}}\x93.",
        "GLOBAL": f"\x80\x02cposix\nsystem\n(S{shell!r}\ntR.".encode("latin-1"),
        "OBJ": f"\x80\x02(cposix\nsystem\nS{shell!r}\no.".encode("latin-1"),
        "INST": f"\x80\x02(S{shell!r}\niposix\nsystem\n.".encode("latin-1"),
        "NEWOBJ": start + posix_system + b")\x81.",
        "state of a class": b"\x80\x02ccollections\nOrderedDict\n}b.",
        "state of a dict": start + b"}}b.",
        "buffer from elsewhere": b"\x80\x05\x97.",
        "cut off": good[:-500],
        "only a start": start,
        "more after the end": good + good,
        "empty": b"",
        "text": b"weight 1.0 2.0\n",
        "HTML": b"<!DOCTYPE html><html>404</html>",
        "zip": zip_file(),
        "no dict": pickle.dumps((1, 2)),
        "itself": start + b"}\x94\x8c\x01ah\x00s.",
        "escape sequence for a name": start + b"\x8c\x04\x1b[2Jq\x00\x8c\x01x\x93.",
    }


ATTACKS = list(attacks(Path("marker")))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> tuple[dict[str, bytes], Path]:
    """The contents of hostile files, and the file that is created if one of them is executed."""
    marker = tmp_path_factory.mktemp("hostile") / "marker"
    return attacks(marker), marker


@pytest.mark.parametrize("name", ATTACKS)
def test_hostile_file_is_refused_and_nothing_executed(name, hostile, tmp_path):
    files, marker = hostile
    path = tmp_path / "hostile.pdparams"
    path.write_bytes(files[name])
    with pytest.raises(CheckpointError) as caught:
        read_pdparams(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and message.isprintable() and len(message) < len(str(path)) + 200
    assert not marker.exists()


def test_the_attacks_are_attacks(hostile):
    """They work where pickles are trusted; otherwise it would prove nothing that they are refused."""
    files, marker = hostile
    for name in (
        "os.system",
        "subprocess",
        "eval",
        "exec",
        "map over a callable",
        "open",
        "STACK_GLOBAL",
        "GLOBAL",
        "OBJ",
    ):
        pickle.loads(files[name])
        assert marker.exists(), name
        marker.unlink()


def test_every_attack_costs_less_than_100_mb_beyond_the_file(hostile, tmp_path):
    """In a process whose address space is limited to that."""
    files, marker = hostile
    for i, content in enumerate(files.values()):
        (tmp_path / f"{i}.pdparams").write_bytes(content)
    program = f"""
import resource, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from paddle_gan.errors import CheckpointError
from paddle_gan.training.pdparams import read_pdparams
files = sorted(Path({str(tmp_path)!r}).glob("*.pdparams"))
for file in files:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = used + file.stat().st_size + (100 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    try:
        read_pdparams(file)
        print(file, "was read")
    except CheckpointError as error:
        if "MemoryError" in str(error):
            print(error)
print("done", len(files))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.stdout == f"done {len(ATTACKS)}\n", done.stdout + done.stderr[-2000:]
    assert not marker.exists()


def test_one_content_under_many_arrays_costs_its_bytes_once(tmp_path):
    """1,000 arrays of 4 MB from a file of 4 MB."""
    path = tmp_path / "w.pdparams"
    content = np.arange(1 << 20, dtype=np.float32).data
    for protocol in (2, 4):
        arrays = {str(i): SameBytes(content.tobytes() if i == 0 else None) for i in range(1000)}
        path.write_bytes(pickle.dumps(arrays, protocol))
        assert path.stat().st_size < 8 << 20
        read = read_pdparams(path)
        assert len(read) == 1000 and all(np.shares_memory(array, read["0"]) for array in read.values())
        np.testing.assert_array_equal(read["999"], content)


def test_a_damaged_file_is_refused_wherever_it_is_cut_and_never_a_fault_of_the_program(tmp_path):
    """Cut at every byte, it is refused; with one of 500 bytes changed, it is refused or read as other numbers."""
    path = tmp_path / "w.pdparams"
    paddle.save(paddle.nn.Linear(2, 3).state_dict(), str(path))
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError):
            read_pdparams(path)
    random = np.random.default_rng(1)
    refused = 0
    for place, value in zip(random.integers(0, len(content), 500), random.integers(0, 256, 500), strict=True):
        path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
        try:
            assert all(isinstance(value, np.ndarray) for value in read_pdparams(path).values())
        except CheckpointError:
            refused += 1
    assert refused > 250


def test_a_file_larger_than_4_gib_is_refused_unread(tmp_path):
    path = tmp_path / "w.pdparams"
    with open(path, "wb") as file:
        file.write(b"\x80\x04")
        file.truncate((4 << 30) + 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match="more than 4 GiB"):
        read_pdparams(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


def test_what_is_no_file_is_the_users_error(tmp_path):
    os.mkfifo(tmp_path / "pipe.pdparams")
    for name in ("none.pdparams", "pipe.pdparams", "none.safetensors", "weights.npz"):
        with pytest.raises(UsageError, match=name):
            read_weights(tmp_path / name)


# Into a network


def changed(state: dict[str, np.ndarray], **changes: np.ndarray) -> dict[str, np.ndarray]:
    return {name: changes.get(name, array) for name, array in state.items()}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda w: changed(w, weight=w["weight"][:, :2]), r"1 differences: weight \[2, 2\] \(expected \[2, 3\]\)"),
        (lambda w: {"weight": w["weight"]}, r"bias missing \(expected \[3\]\)"),
        (lambda w: w | {"more": w["bias"]}, r"more \[3\] \(expected none\)"),
        (lambda w: {f"layer.{name}": array for name, array in w.items()}, "4 differences: bias missing"),
        (lambda w: changed(w, bias=w["bias"].astype(np.int64)), "bias is of int64, not of a float type"),
        (lambda w: changed(w, bias=w["bias"] * np.nan), "bias holds NaN or infinity"),
        (lambda w: changed(w, bias=np.full(3, 1e300)), "bias holds NaN or infinity"),
    ],
)
@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
def test_weights_that_do_not_fit_change_nothing(change, expected, suffix, tmp_path):
    layer, path = paddle.nn.Linear(2, 3), tmp_path / f"w{suffix}"
    mine = {name: tensor.numpy().copy() for name, tensor in layer.state_dict().items()}
    other = change({name: np.ascontiguousarray(array + 1) for name, array in mine.items()})
    if suffix == ".pdparams":
        paddle.save(other, str(path))
    else:
        safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in other.items()}, path)
    with pytest.raises(CheckpointError, match=f"w{suffix}.*{expected}"):
        load_weights(layer, read_weights(path), path)
    for name, tensor in layer.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), mine[name])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_weights_of_every_float_type_arrive(dtype, tmp_path):
    layer, path = paddle.nn.Linear(2, 3), tmp_path / "w.pdparams"
    given = {"weight": np.arange(6, dtype=dtype).reshape(2, 3) / 8, "bias": -np.ones(3, dtype)}
    paddle.save(given, str(path))
    load_weights(layer, read_weights(path), path)
    for name, tensor in layer.state_dict().items():
        assert tensor.dtype == paddle.float32
        np.testing.assert_array_equal(tensor.numpy(), given[name])


def test_names_that_would_write_to_the_terminal_are_refused(tmp_path):
    for path in (tmp_path / "w.pdparams", tmp_path / "w.safetensors"):
        arrays = {"weight\x1b[2J": np.ones(2, np.float32)}
        paddle.save(arrays, str(path)) if path.suffix == ".pdparams" else safetensors.numpy.save_file(arrays, path)
        with pytest.raises(CheckpointError, match=r"'weight\\x1b\[2J' is not a name of a weight"):
            read_weights(path)


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"\xff" * 100, b'\x08\0\0\0\0\0\0\0{"a":{}}'])
def test_damaged_safetensors_are_refused(content, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="w.safetensors: cannot be read"):
        read_weights(path)


# Through the experiment and the command line


@pytest.mark.parametrize("which", ["plain_run", "conditional_run"])
def test_a_runs_own_weights_are_those_of_its_checkpoint(which, request, tmp_path):
    run = request.getfixturevalue(which)
    state = paddle.load(str(run / "generator.pdparams"), return_numpy=True)
    safetensors.numpy.save_file({name: np.asarray(array) for name, array in state.items()}, tmp_path / "w.safetensors")
    expected = load_generator(run)
    for weights in (run / "generator.pdparams", tmp_path / "w.safetensors"):
        generator = generator_with(run, weights)
        assert generator.classes == expected.classes and not generator.network.training
        assert generator.network.state_dict().keys() == expected.network.state_dict().keys()
        for name, tensor in generator.network.state_dict().items():
            np.testing.assert_array_equal(tensor.numpy(), expected.network.state_dict()[name].numpy())


def sampled(run: Path, out: Path, *arguments: object) -> np.ndarray:
    done = command_line("sample", run, "--num", 20, "--npz", out, "--device", "cpu", *arguments)
    assert done.returncode == 0, done.stderr
    with np.load(out) as archive:
        return archive["images"]


def test_samples_of_a_file_of_weights(plain_run, tmp_path):
    """The run's weights give the samples of its checkpoint, other weights give others. A run needs config.json only."""
    expected = sampled(plain_run, tmp_path / "checkpoint.npz")
    weights = plain_run / "generator.pdparams"
    np.testing.assert_array_equal(sampled(plain_run, tmp_path / "own.npz", "--weights", weights), expected)
    other = {name: np.asarray(array) * 1.5 for name, array in read_pdparams(weights).items()}
    paddle.save(other, str(tmp_path / "other.pdparams"))
    shutil.copy(plain_run / "config.json", tmp_path)
    images = sampled(tmp_path, tmp_path / "other.npz", "--weights", tmp_path / "other.pdparams")
    assert images.shape == expected.shape and (images != expected).any()


def test_refusals_are_one_line_and_a_status(plain_run, conditional_run, hostile, tmp_path):
    files, marker = hostile
    path = tmp_path / "hostile.pdparams"
    path.write_bytes(files["os.system"])
    for weights, expected in (
        (path, "it asks for 'posix.system', which no array needs"),
        (conditional_run / "generator.pdparams", "is of another network"),
    ):
        done = command_line("sample", plain_run, "--grid", tmp_path / "x.png", "--weights", weights)
        assert done.returncode == 3 and expected in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert not marker.exists() and not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("choice", [{"raw": True}, {"best": True}])
def test_a_file_of_weights_has_no_raw_or_best_ones(choice):
    with pytest.raises(UsageError, match="--weights names a file"):
        SampleConfig(weights="w.pdparams", **choice)
