"""compress bench on a board behind ssh: a real sshd on loopback, killed in mid-run."""

import ast
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import bench_models
import sshd
from compress.errors import BenchError, RunnerLostError, UsageError
from compress.progress import SILENT, Progress
from compress.settings import Bench, Run
from compress_bench.recipe import bench
from compress_bench.remote import agent, lock
from compress_bench.remote.address import parse_address
from compress_bench.remote.board import Board
from compress_bench.remote.refusals import explain
from compress_bench.remote.session import Session
from compress_bench.targets import open_place
from needs import needs_program

needs_sshd = needs_program(sshd.PROGRAM, package="openssh-server")


@pytest.fixture(scope="module")
def server():
    with sshd.running() as found:
        yield found


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return bench_models.write_model(tmp_path_factory.mktemp("ssh") / "net.onnx")


def inspection(*paths):
    models = [{"variant": path.stem, "path": str(path)} for path in paths]
    common = {"threads": 1, "batch_size": 1, "seed": 0, "runtimes": {}}
    return {"kind": "inspect", "models": models} | common


def timing(path, *, rounds, block=1):
    warm = {"warm_up_seconds": 0, "block_seconds": 0, "block_inferences": block}
    return inspection(path) | {"kind": "latency", "rounds": rounds} | warm


def wait_until(true):
    due = time.monotonic() + 10
    while not true():
        assert time.monotonic() < due
        time.sleep(0.01)


def cached(server):
    """Inode and time of each file on the board, by its path."""
    files = (server.cache / "compress-bench/files").rglob("*")
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files if path.is_file()}


def is_free(server):
    with server.lock.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


# ------------------------------------------------------------------------------- end to end


@needs_sshd
def test_a_bench_whose_links_are_killed_in_mid_run_is_complete(server, tmp_path):
    files = [bench_models.write_model(tmp_path / f"{n}.onnx", extra=n) for n in (256, 0)]
    images, labels = bench_models.images(60)
    splits = {f"x_{split}": images for split in ("train", "test")}
    np.savez(tmp_path / "data.npz", **splits, y_train=labels, y_test=labels)
    reference = server.reference()
    over = threading.Event()
    killed = []

    def kill_now_and_then():
        while len(killed) < 3 and not over.wait(0.2):
            if server.runners():
                server.drop_links()
                killed.append(time.monotonic())

    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    try:
        settings = Bench(profile="quick", processes=2, target=reference)
        run = Run(threads=1, data=str(tmp_path / "data.npz"))
        report = bench(files, settings=settings, run=run)
    finally:
        over.set()
        killer.join()
    assert len(killed) == 3
    # The paths that reach the board are the command's, not the board's.
    assert report["machine"]["target"] == reference.partition("?")[0]
    assert report["recipe"]["bench"]["target"] == reference
    for fields in report["variants"].values():
        assert len(fields["samples_seconds"]) == 2  # processes, none lost
        assert fields["latency"]["n"] == sum(len(one) for one in fields["samples_seconds"])
        assert fields["accuracy"]["value"] == 1.0
    assert server.runners() == [] and is_free(server)


@needs_sshd
def test_ctrl_c_ends_what_runs_on_the_board(server, tmp_path):
    bundle = bench_models.write_bundle(tmp_path / "bundle")
    command = [sys.executable, "-m", "compress", "bench", str(bundle), "--target"]
    command += [server.reference(), "-o", str(tmp_path / "report"), "--profile", "quick"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        wait_until(lambda: server.runners() or process.poll() is not None)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.returncode == 130
    assert server.runners() == [] and is_free(server)
    wait_until(lambda: server.sessions() == [])


# ------------------------------------------------------------------------------- the link


@needs_sshd
def test_no_event_is_lost_or_told_twice_when_the_link_drops(server, tmp_path, capsys):
    progress, slow = Progress(), bench_models.write_model(tmp_path / "slow.onnx", extra=1024)
    session = Session(parse_address(server.reference()), progress, pauses=[0.0] * 9)
    session.open()
    try:
        board = Board(session, progress)
        events = []
        for event in board.stream(timing(slow, rounds=60, block=50)):
            events.append(event["event"])
            if event["event"] == "round" and events.count("round") in (1, 30):
                server.drop_links()
    finally:
        session.close()
    assert events.count("round") == 60
    assert [event for event in events if event != "round"][:2] == ["hello", "session"]
    assert "the link is back, and nothing was lost" in capsys.readouterr().err


@needs_sshd
def test_a_link_that_stays_away_ends_the_job_with_its_reason(model):
    with sshd.running() as server:
        address = parse_address(server.reference())
        session = Session(address, SILENT, lease_seconds=1.0, pauses=[0.0, 0.0])
        session.open()
        try:
            with closing(Board(session, SILENT).stream(timing(model, rounds=10**6))) as events:
                next(events)
                server.stop()
                with pytest.raises(
                    RunnerLostError, match=r"the link dropped .*did not come back: .*nothing lis"
                ):
                    list(events)
        finally:
            session.close()
        wait_until(lambda: server.runners() == [] and is_free(server))


@needs_sshd
def test_a_runner_that_dies_on_the_board_has_an_obituary(server, model):
    with open_place(server.reference(), SILENT) as place:
        with closing(place.stream(timing(model, rounds=10**6))) as events:
            next(events)
            for pid in server.runners():
                os.kill(pid, signal.SIGKILL)
            with pytest.raises(RunnerLostError, match=r"ssh://\S+: .*was killed by SIGKILL"):
                list(events)
        # The board is there for the next job.
        assert "model" in [event["event"] for event in place.stream(inspection(model))]


# ------------------------------------------------------------------------------- files


@needs_sshd
def test_files_that_are_on_the_board_already_are_not_sent_again(server, model):
    with open_place(server.reference(), SILENT) as place:
        list(place.stream(inspection(model)))
    before = cached(server)
    with open_place(server.reference(), SILENT) as place:
        list(place.stream(inspection(model)))
    assert cached(server) == before and len(before) >= 2


@needs_sshd
def test_a_file_that_a_memory_card_has_damaged_is_sent_again(server, tmp_path):
    model = bench_models.write_model(tmp_path / "net.onnx", wrong=0.5)
    content = model.read_bytes()
    with open_place(server.reference(), SILENT) as place:
        list(place.stream(inspection(model)))
    (there,) = (path for path in cached(server) if path.read_bytes() == content)
    there.write_bytes(content[:-1] + b"?")
    with open_place(server.reference(), SILENT) as place:
        assert "model" in [event["event"] for event in place.stream(inspection(model))]
    assert there.read_bytes() == content


@needs_sshd
def test_external_data_lies_beside_its_model(server, tmp_path):
    weights = numpy_helper.from_array(np.ones((4, 400), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["input", "w"], ["y"])],
        "wide",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 400])],
        [weights],
    )
    net = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path = tmp_path / "wide.onnx"
    onnx.save(net, path, save_as_external_data=True, location="wide.bin", size_threshold=0)
    job = inspection(path) | {"kind": "outputs", "seeds": [0]}
    with open_place(server.reference(), SILENT) as place:
        assert "outputs" in [event["event"] for event in place.stream(job)]


# ------------------------------------------------------------------------------- lock and lease


@needs_sshd
def test_a_second_bench_is_told_who_has_the_board(server):
    with (
        open_place(server.reference(), SILENT),
        pytest.raises(BenchError, match=r"expected a free board, found that \S+@\S+ has been"),
        open_place(server.reference(), SILENT),
    ):
        pass


@needs_sshd
def test_a_board_whose_host_is_gone_ends_the_run_and_can_be_taken(model):
    with sshd.running() as server:
        address = parse_address(server.reference())
        lost = Session(address, SILENT, lease_seconds=1.0, pauses=[])
        lost.open()
        events = Board(lost, SILENT).stream(timing(model, rounds=10**6))
        next(events)
        assert not is_free(server) and server.runners()
        lost._closed.set()  # as if this host had died: no beat, no farewell
        lost.drop()
        wait_until(lambda: is_free(server))
        assert server.runners() == []
        assert list((server.cache / "compress-bench/runs").glob("*/*")) == []
        with open_place(server.reference(), SILENT) as place:
            list(place.stream(inspection(model)))
        events.close()


class Attendant:
    """The agent without ssh in between."""

    def __init__(self, folder):
        own = {"XDG_CACHE_HOME": str(folder), lock.VARIABLE: str(folder / "lock")}
        self.process = subprocess.Popen(
            [sys.executable, "-I", agent.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | own,
        )
        assert self.process.stdout.readline() == b"\n"  # ends what a login script began
        assert self.reply()["hello"] == agent.MARK

    def ask(self, request, content=b""):
        self.process.stdin.write(json.dumps(request).encode() + b"\n" + content)
        self.process.stdin.flush()
        return self.reply()

    def reply(self):
        return json.loads(self.process.stdout.readline())

    def leave(self):
        self.process.communicate()


def put(name, content, said=None):
    sha256 = hashlib.sha256(content if said is None else said).hexdigest()
    file = {"name": name, "size": len(content), "sha256": sha256}
    return {"do": "put", "key": "k" * 64, "files": [file]}


def test_half_an_upload_leaves_nothing(tmp_path):
    board = Attendant(tmp_path)
    assert board.ask(put("net.onnx", b"0123456789")) == {"ready": True}
    board.process.stdin.write(b"01234")
    board.leave()
    assert list((tmp_path / "compress-bench/files").iterdir()) == []


def test_an_upload_of_other_content_than_promised_is_refused(tmp_path):
    board = Attendant(tmp_path)
    board.ask(put("net.onnx", b"0123456789", said=b"9876543210"))
    board.process.stdin.write(b"0123456789")
    board.process.stdin.flush()
    assert board.reply() == {"damaged": "net.onnx"}
    board.leave()
    assert list((tmp_path / "compress-bench/files").iterdir()) == []


def test_an_upload_that_the_disk_has_no_room_for_is_refused_before_it_begins(tmp_path):
    board = Attendant(tmp_path)
    request = put("net.onnx", b"")
    request["files"][0]["size"] = 1 << 60
    reply = board.ask(request)
    assert reply["full"] and "No space left" in reply["refused"]
    board.leave()


def test_a_job_that_the_keeper_was_never_told_of_is_told_again(tmp_path):
    # As if the attendant had died between the two.
    board = Attendant(tmp_path)
    board.ask({"do": "open", "token": "t", "holder": "x", "lease": 20.0})
    (folder,) = (tmp_path / "compress-bench/runs").glob("*/t")
    (folder / "job-1").write_text("{}")
    program = tmp_path / "runner.py"
    program.write_text("")
    request = {"do": "start", "number": 1, "runner": str(program), "job": {}}
    assert board.ask(request) == board.ask(request) == {"started": 1}
    wait_until((folder / "end-1").exists)
    assert json.loads((folder / "end-1").read_text())["status"] == 0
    assert board.ask({"do": "close"}) == {"closed": True}
    board.leave()


@pytest.mark.parametrize(
    ("make", "found"),
    [(lambda path: path.symlink_to("/nowhere"), "a link"), (Path.mkdir, "a folder")],
)
def test_a_lock_that_cannot_be_is_told_with_what_is_there(tmp_path, make, found):
    make(tmp_path / "lock")
    board = Attendant(tmp_path)
    reply = board.ask({"do": "open", "token": "t", "holder": "x", "lease": 20.0})
    said = f"expected to lock {tmp_path}/lock, found {found}; remove it, or name another file"
    assert reply["unlocked"].startswith(said)
    board.leave()


def test_what_runs_on_another_board_with_the_same_home_stays(tmp_path):
    for board in ("another", agent.boot_id()):
        (tmp_path / "runs" / board / "token").mkdir(parents=True)
    (tmp_path / "files/.incoming-another-x").mkdir(parents=True)
    (tmp_path / f"files/{agent.incoming_prefix()}x").mkdir()
    agent.clean(tmp_path)
    assert [path.parent.name for path in (tmp_path / "runs").glob("*/*")] == ["another"]
    assert [path.name for path in (tmp_path / "files").iterdir()] == [".incoming-another-x"]


def test_files_that_no_bench_has_used_for_a_month_are_removed(tmp_path):
    files = tmp_path / "files"
    for name in ("old", "new"):
        (files / name).mkdir(parents=True)
    month = time.time() - agent.KEPT_SECONDS - 1
    os.utime(files / "old", (month, month))
    agent.clean(tmp_path)
    assert [path.name for path in files.iterdir()] == ["new"]


# ------------------------------------------------------------------------------- refusals


def refused(reference):
    with (
        pytest.raises(BenchError) as found,
        open_place(reference, SILENT) as place,
    ):
        list(place.stream(inspection()))
    return str(found.value)


@needs_sshd
def test_a_port_where_nothing_listens():
    assert "found that nothing listens there; check the port" in refused("ssh://127.0.0.1:1")


@needs_sshd
def test_a_host_without_a_name():
    assert "found no host of that name" in refused("ssh://board.invalid")


@needs_sshd
def test_a_key_that_the_board_does_not_take(server):
    message = refused(server.reference(identity="stranger"))
    assert "found that it takes none of this user's keys" in message
    assert "ssh-copy-id" in message


@needs_sshd
def test_a_board_that_was_never_met_and_one_that_has_changed(server):
    known = server.folder / "known"
    try:
        server.know(server.folder / "stranger.pub")
        changed = refused(server.reference())
        known.write_text("")
        unknown = refused(server.reference())
    finally:
        server.know(server.folder / "host.pub")
    assert "found another host key than before" in changed
    assert f"ssh-keygen -R '[127.0.0.1]:{server.port}' -f {known}" in changed
    assert "found a host key that is not known here yet" in unknown


@needs_sshd
def test_a_board_without_python(server):
    message = refused(server.reference(python="/nowhere/python3"))
    assert "expected /nowhere/python3 there, found none" in message
    assert "?python=" in message


@needs_sshd
def test_a_board_whose_python_lacks_numpy(server, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    message = refused(server.reference(python=f"{tmp_path}/venv/bin/python"))
    assert "found no numpy; install them: ssh " in message
    assert "-m pip install numpy onnxruntime" in message


def test_a_python_that_is_too_old():
    address = parse_address("ssh://pi@board")
    assert explain(address, 1, "compress found Python 3.7\n") == (
        "ssh://pi@board: expected Python 3.8 or newer there, found 3.7; "
        "name a newer one with ?python=/path/to/python3"
    )


def test_a_python_that_is_none_and_repeats_what_it_was_told():
    address = parse_address("ssh://pi@board?python=/bin/ls")
    words = """ls: '...sys.exit("compress found Python %d.%d"%(v[0],v[1]))': No such file"""
    assert "expected /bin/ls there, found none" in explain(address, 2, words)


@pytest.mark.parametrize(
    ("reference", "copy", "forget"),
    [
        ("ssh://pi@board", "ssh-copy-id pi@board", "ssh-keygen -R board)"),
        ("ssh://board:22", "ssh-copy-id -p 22 board", "ssh-keygen -R board)"),
        (
            "ssh://pi@board:2222?config=/my conf",
            "ssh-copy-id -F '/my conf' -p 2222 pi@board",
            "ssh-keygen -R '[board]:2222')",
        ),
    ],
)
def test_commands_to_type_have_the_port_and_are_quoted(reference, copy, forget):
    address = parse_address(reference)
    assert explain(address, 255, "Permission denied (publickey)").endswith(f"there: {copy}")
    assert forget in explain(address, 255, "REMOTE HOST IDENTIFICATION HAS CHANGED")


# ------------------------------------------------------------------------------- references


def test_a_reference_names_user_host_port_and_python():
    found = parse_address("ssh://pi@Board.local:2222?python=~/venv/bin/python3")
    assert (found.user, found.host, found.port) == ("pi", "Board.local", "2222")
    assert found.python == "~/venv/bin/python3"
    assert parse_address("ssh://[fe80::1]").host == "fe80::1"


def test_a_board_on_a_direct_cable_is_named_with_its_interface():
    found = parse_address("ssh://pi@[fe80::1%eth0]:2222")
    assert (found.host, found.reference) == ("fe80::1%eth0", "ssh://pi@[fe80::1%eth0]:2222")


def test_a_plus_in_a_path_is_a_plus():
    assert parse_address("ssh://b?python=/opt/c++/python3").python == "/opt/c++/python3"
    assert parse_address("ssh://b?python=/opt/my%20env/python").python == "/opt/my env/python"


@pytest.mark.parametrize(
    "reference",
    [
        "ssh:board",
        "ssh://",
        "ssh://pi:secret@board",
        "ssh://-oProxyCommand=x",
        "ssh://board/path",
        "ssh://board?pyhton=python3",
    ],
)
def test_a_reference_of_another_form_is_refused(reference):
    with pytest.raises(UsageError, match="--target ssh:"):
        parse_address(reference)


def test_what_goes_to_a_board_reads_as_python_3_8():
    for module in (agent, lock):
        ast.parse(Path(module.__file__).read_text(), feature_version=(3, 8))


def test_valgrind_here_says_nothing_of_a_board(tmp_path):
    model = bench_models.write_model(tmp_path / "net.onnx")
    settings = Bench(profile="quick", target="ssh://pi@board", instructions="valgrind")
    with pytest.raises(UsageError, match="expected this machine, found --target ssh://pi@board"):
        bench([model], settings=settings, run=Run(threads=1))
