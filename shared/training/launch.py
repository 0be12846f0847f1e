"""Start a training as several processes, watch them, and end all when one ends.

    python -m shared.training.launch --processes 2 apps/digits.py train --data mnist.npz
    python -m shared.training.launch --processes 2 --process 1 --address 10.0.0.1:9000 apps/digits.py train ...

The first form starts all of them here, on the loopback address; the second starts one of them, on its own host: give
each host its number from 0, and all of them the first one's address; for TensorFlow, all addresses, with commas.

A process whose companion died waits for it, and cannot speak. So this program ends the others at once, says which one
it was, and how to go on. On several hosts a survivor learns of it from JAX, which gives up after some 100 seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time

LEAVE_S = 20.0  # for the others to end by themselves, when one has ended


def free_port() -> int:
    """A port of the loopback address that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment(number: int, count: int, addresses: list[str]) -> dict[str, str]:
    """What tells process `number` of `count` who it is; the first address is JAX's, all of them are TensorFlow's."""
    own = {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": addresses[0],
        "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count),
        "KERAS_DISTRIBUTION_PROCESS_ID": str(number),
    }
    if len(addresses) == count:
        task = {"type": "worker", "index": number}
        own["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
    return os.environ | own


def watch(processes: dict[int, subprocess.Popen]) -> int:
    """Wait until one ends, end the others, and return the exit code of all: 0 if every one succeeded."""
    while all(process.poll() is None for process in processes.values()):
        time.sleep(0.1)
    number, code = next((n, p.returncode) for n, p in processes.items() if p.returncode is not None)
    until = time.monotonic() + (LEAVE_S if code == 0 else 1.0)
    while any(process.poll() is None for process in processes.values()) and time.monotonic() < until:
        time.sleep(0.1)
    for process in processes.values():
        if process.poll() is None:
            process.kill()
            process.wait()
    if code in (0, 2, 130):  # done; or it has said what was wrong, or how to go on
        return code
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    others = "the others were ended" if len(processes) > 1 else "the training ends here"
    print(f"Process {number} died ({how}), and {others}. Go on with --resume.", file=sys.stderr)
    return 1


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The command line; the rest of it, after our own flags, is the command to start."""
    parser = argparse.ArgumentParser(
        prog="python -m shared.training.launch", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--processes", type=int, required=True, help="how many there are in all")
    parser.add_argument("--process", type=int, help="start this one alone, from 0")
    parser.add_argument("--address", help="HOST:PORT of the first, with --process; for TensorFlow all, with commas")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="apps/NAME.py train ...")
    found = parser.parse_args(words)
    alone = found.process is not None
    if found.processes < 1 or not found.command or alone != bool(found.address):
        parser.error("give --processes, a command, and --process and --address together or not at all")
    if alone and not 0 <= found.process < found.processes:
        parser.error(f"--process is {found.process}, and must be from 0 to {found.processes - 1}")
    return found


def main() -> int:
    """Start, watch, and return the exit code."""
    asked = arguments()
    here = asked.address.split(",") if asked.address else [f"127.0.0.1:{free_port()}" for _ in range(asked.processes)]
    numbers = range(asked.processes) if asked.process is None else [asked.process]
    command = [sys.executable, *asked.command]
    processes = {n: subprocess.Popen(command, env=environment(n, asked.processes, here)) for n in numbers}
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(processes[min(processes)].pid, number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # at a terminal every process gets it by itself
    return watch(processes)


if __name__ == "__main__":
    sys.exit(main())
