"""A command of ours under torchrun, which is stopped in its fifth step; run by
test_train_processes.py. Writes each process's exit code.
"""

import os
import signal
import socket
import sys
from itertools import count
from pathlib import Path

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parallel import DistributedDataParallel

from compress.cli import main
from compress.launched import is_first, rank

steps = count(1)


def stop_torchrun() -> None:
    """SIGTERM to torchrun, as a scheduler sends it; goes on when torchrun has passed it on."""
    here, there = socket.socketpair()
    there.setblocking(False)
    signal.set_wakeup_fd(there.fileno())
    os.kill(os.getppid(), signal.SIGTERM)
    here.recv(1)
    signal.set_wakeup_fd(-1)


def before_forward(module: nn.Module, inputs: object) -> None:
    """Count the steps of what is trained."""
    if isinstance(module, DistributedDataParallel) and next(steps) == 5 and is_first():
        stop_torchrun()


register_module_forward_pre_hook(before_forward)
code = main()
Path(f"stopped-{rank()}").write_text(str(code))
sys.exit(code)
