"""A SLURM of two nodes on this machine, each with two cores and two GPUs that are none."""

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

CONF = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
ReturnToService=2
SlurmdTimeout=10
KillWait=10
SlurmctldLogFile={folder}/slurmctld.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
SlurmdParameters=config_overrides
NodeName=n1 NodeAddr=127.0.0.1 NodeHostname=localhost Port={ports[1]} CPUs=2 RealMemory=4000 Gres=gpu:2
NodeName=n2 NodeAddr=127.0.0.1 NodeHostname=localhost Port={ports[2]} CPUs=2 RealMemory=4000 Gres=gpu:2
PartitionName=main Nodes=n[1-2] Default=YES State=UP
"""


class SlurmCluster:
    """Started in a folder of its own; `environment` leads programs to it, and everything ends with `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.conf = folder, folder / "slurm.conf"
        self.environment = {"SLURM_CONF": str(self.conf)}
        for name in ("state", "n1", "n2"):
            (folder / name).mkdir()
        (folder / "munge.key").write_bytes(os.urandom(64))
        (folder / "munge.key").chmod(0o400)
        self.conf.write_text(CONF.format(folder=folder, user=getpass.getuser(), ports=free_ports(3)))
        (folder / "gres.conf").write_text("NodeName=n[1-2] Name=gpu File=/dev/zero,/dev/null\n")
        munge = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._start("munged", "--foreground", "--force", *(f"--{k}={folder}/munge.{v}" for k, v in munge.items()))
        self._until((folder / "munge.socket").exists)
        self._start("slurmctld", "-D", "-c")
        self._until(lambda: "UP" in self.run("scontrol", "ping"))
        for node in ("n1", "n2"):
            self._start("slurmd", "-D", "-N", node)
        self._until(lambda: self.run("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2")

    def run(self, *command: str) -> str:
        """Run a program of SLURM."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, env=environment, text=True, capture_output=True, timeout=30).stdout

    def jobs(self, name: str = "sweep-node") -> list[str]:
        """The numbers of the jobs of a name that run, the first first."""
        return self.run("squeue", "-h", "-n", name, "-t", "RUNNING", "-o", "%i", "-S", "i").split()

    def close(self) -> None:
        """End all of it, and what it has started."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get("SLURM_CONF") == str(self.conf) and process.pid != os.getpid():
                    process.kill()
        for daemon in self._daemons:
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()

    def _start(self, *command: str) -> None:
        environment = {**os.environ, **self.environment}
        with (self.folder / f"{command[0]}.log").open("ab") as log:
            self._daemons.append(
                subprocess.Popen(
                    command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            )

    def _until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, "SLURM does not start"
            time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
