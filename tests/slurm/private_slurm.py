"""A Slurm of one's own: one node with two fake GPUs, in a folder of its own, gone without a trace afterwards.

munged, MariaDB, slurmdbd, slurmctld and slurmd run as child processes on free ports; clients find them through
SLURM_CONF. Needs root and the packages that install.sh names. Slurm 22.05 or newer.
"""

import csv
import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sinfo", "sbatch", "srun", "sacct", "scontrol")
ACCOUNTING_PROGRAMS = ("slurmdbd", "sacctmgr", "mariadbd", "mariadb-install-db")

# more CPUs than a small machine has: two GPU jobs and a light one shall run side by side
CPUS = 4
MEMORY_MB = 16000
KILL_WAIT_S = 10
DATABASE_BYTES = 500_000_000
UP = ("idle", "mix", "alloc")

SLURM_CONF = """\
ClusterName=natal
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={slurmctld_port}
SlurmdPort={slurmd_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
# simple plugins that work in a container
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
JobRequeue=1
KillWait={kill_wait}
OverTimeLimit=0
MinJobAge=300
# seconds until a node that does not answer is down
SlurmdTimeout=20
# by default a requeued job waits for the next round of the scheduler, up to a minute
SchedulerParameters=sched_min_interval=200000,batch_sched_delay=0,sched_interval=2,bf_interval=2
{accounting}
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={node} Default=YES MaxTime=INFINITE State=UP
"""

ACCOUNTING_CONF = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={slurmdbd_port}
# the name is misleading: munge's socket
AccountingStoragePass={folder}/munge/socket
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
JobAcctGatherType=jobacct_gather/none"""

NO_ACCOUNTING_CONF = """\
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none"""

SLURMDBD_CONF = """\
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={slurmdbd_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
"""


def missing() -> str | None:
    """Why a private Slurm cannot run here, None if it can."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        return "a private Slurm needs root on Linux"
    absent = [name for name in (*PROGRAMS, *ACCOUNTING_PROGRAMS) if shutil.which(name) is None]
    return f"a private Slurm needs {', '.join(absent)} (tests/slurm/install.sh)" if absent else None


class PrivateSlurm:
    """The running Slurm, as a context manager."""

    def __init__(self, *, accounting: bool = True, settings: str = "") -> None:
        """`settings` are lines of slurm.conf that go over the others."""
        self.accounting = accounting
        self.settings = settings
        self.node = "node1"
        self._daemons: list[tuple[str, subprocess.Popen]] = []

    def __enter__(self) -> "PrivateSlurm":
        # short: a socket's path has at most 107 characters
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self.database = Path(tempfile.mkdtemp(prefix="slurm-", dir=_memory()))
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    @property
    def pids(self) -> list[int]:
        """The daemons' process ids."""
        return [process.pid for _, process in self._daemons]

    @property
    def environment(self) -> dict[str, str]:
        """What clients need in their environment."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}

    def run(self, *command: str, check: bool = True) -> str:
        """Run a client command, return what it prints."""
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")
        return done.stdout

    def jobs(self, *, since: str = "now-1days", duplicates: bool = False) -> list[dict[str, str]]:
        """Jobs as accounting knows them, requeued ones once for each start with `duplicates`."""
        fields = "JobID,JobName,Comment,State,ExitCode,AllocTRES,ReqTRES,TimelimitRaw,Start,End"
        more = ["--duplicates"] if duplicates else []
        text = self.run("sacct", "-X", "--parsable2", "-S", since, "-o", fields, *more)
        return list(csv.DictReader(text.splitlines(), delimiter="|"))

    def queue(self) -> list[dict[str, str]]:
        """Jobs that wait or run."""
        text = self.run("squeue", "--format=%A|%T|%k|%r")
        return list(csv.DictReader(text.splitlines(), delimiter="|"))

    def daemon(self, name: str) -> subprocess.Popen:
        """A daemon's process, by its name."""
        return dict(self._daemons)[name]

    def set_node(self, state: str, reason: str = "test") -> None:
        """Set the node's state: down, resume, drain."""
        why = [f"reason={reason}"] if state != "resume" else []
        # a node that reports by itself is back already: to resume it is an error then
        self.run("scontrol", "update", f"nodename={self.node}", f"state={state}", *why, check=state != "resume")

    def fail_node(self) -> None:
        """End the node's daemon and all that it started, at once, as a power cut does."""
        slurmd = self.daemon("slurmd")
        slurmd.kill()
        slurmd.wait()
        # first those that would tell the controller how a job ended
        for of_node in (lambda folder: (folder / "comm").read_text() == "slurmstepd\n", _is_of_job):
            _wait_for(lambda of_node=of_node: not self._kill(of_node), 20, "processes of jobs to end")
        self._daemons = [(name, process) for name, process in self._daemons if name != "slurmd"]

    def start_node(self) -> None:
        """Start the node's daemon and wait until the node is there."""
        self._start_daemon("slurmd", ["slurmd", "-D", "-N", self.node], lambda: self.node_state() in UP)

    def node_state(self) -> str:
        """The node's state in sinfo's short words: idle, mix, down*."""
        return self.run("sinfo", "--noheader", "--format=%t", f"--nodes={self.node}", check=False).strip()

    def wait_until_idle(self, timeout_s: float = 60) -> None:
        """Wait until no job waits, runs or ends."""
        _wait_for(lambda: not self.queue(), timeout_s, "jobs to end")

    def _start(self) -> None:
        names = ("munge", "state", "spool", "logs", "bin", "tmp")
        for name in names:
            (self.folder / name).mkdir(mode=0o755)
        # every user's clients must reach the configuration and munge's socket
        self.folder.chmod(0o755)
        for k in range(2):
            (self.folder / f"gpu{k}").touch()
        self._configure()
        self._start_munge()
        if self.accounting:
            self._start_accounting()
        self._start_daemon(
            "slurmctld", ["slurmctld", "-D"], lambda: "is UP" in self.run("scontrol", "ping", check=False)
        )
        self.start_node()

    def _configure(self) -> None:
        ports = dict(zip(("slurmctld_port", "slurmd_port", "slurmdbd_port"), _free_ports(3), strict=True))
        values = ports | {
            "folder": self.folder,
            "host": platform.node(),
            "node": self.node,
            "cpus": CPUS,
            "memory": MEMORY_MB,
            "kill_wait": KILL_WAIT_S,
        }
        accounting = (ACCOUNTING_CONF if self.accounting else NO_ACCOUNTING_CONF).format(**values)
        (self.folder / "slurm.conf").write_text(
            SLURM_CONF.format(**values, accounting=accounting) + self.settings.format(**values)
        )
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/gpu[0-1]\n")
        # Snakemake's job-step plugin takes SLURM_CONF out of srun's environment: real clusters rarely need it there
        srun = self.folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        dbd = self.folder / "slurmdbd.conf"
        dbd.write_text(SLURMDBD_CONF.format(**values))
        dbd.chmod(0o600)

    def _start_munge(self) -> None:
        folder = self.folder / "munge"
        key = folder / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        files = [f"--{name}-file={folder}/{name}" for name in ("key", "log", "pid", "seed")]
        socket_path = folder / "socket"
        self._start_daemon(
            "munged", ["munged", "--foreground", "--force", f"--socket={socket_path}", *files], socket_path.exists
        )

    def _start_accounting(self) -> None:
        data, database_socket = self.database, self.folder / "database.socket"
        # temporary tables of two databases that are made at once have the same names
        options = [f"--datadir={data}", f"--tmpdir={self.folder}/tmp", "--user=root"]
        self.run("mariadb-install-db", "--no-defaults", *options, "--skip-test-db")
        options += [f"--socket={database_socket}", f"--pid-file={self.folder}/database.pid"]
        # what slurmdbd asks for; the default is smaller
        options += ["--skip-networking", "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"]
        self._start_daemon("mariadbd", ["mariadbd", "--no-defaults", *options], database_socket.exists)
        client_settings = {"MYSQL_UNIX_PORT": str(database_socket)}
        self._start_daemon("slurmdbd", ["slurmdbd", "-D"], self._accounting_answers, client_settings)
        self.run("sacctmgr", "-i", "add", "cluster", "natal", check=False)
        self.run("sacctmgr", "-i", "add", "account", "test", "cluster=natal")
        self.run("sacctmgr", "-i", "add", "user", "root", "account=test")

    def _accounting_answers(self) -> bool:
        command = ["sacctmgr", "--noheader", "show", "cluster"]
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True)
        return done.returncode == 0

    def _start_daemon(
        self, name: str, command: list[str], ready: Callable[[], bool], more: dict[str, str] | None = None
    ) -> None:
        """Start a daemon in the foreground of a session of its own, and wait until it answers."""
        log = self.folder / "logs" / f"{name}.log"
        with open(log, "w") as file:
            process = subprocess.Popen(
                command,
                env=os.environ | self.environment | (more or {}),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._daemons.append((name, process))
        deadline = time.monotonic() + 60
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start:\n" + "\n".join(log.read_text().splitlines()[-20:]))
            time.sleep(0.1)

    def _stop(self) -> None:
        try:
            for _, process in reversed(self._daemons):
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(20)
        finally:
            # what did not end, or was not waited for because of an interrupt
            for _, process in self._daemons:
                process.kill()
                process.wait()
            _wait_for(self._no_job_lives, 20, "processes of jobs to end")
            shutil.rmtree(self.folder)
            shutil.rmtree(self.database)

    def _no_job_lives(self) -> bool:
        """Kill what jobs or an interrupted start left running."""
        return not self._kill(lambda folder: True)

    def _kill(self, chosen: Callable[[Path], bool]) -> bool:
        """Kill processes that know our configuration, those chosen by their folder in /proc; whether there were any."""
        mark = f"SLURM_CONF={self.folder}/".encode()
        found = False
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes() and chosen(folder):
                    found = True
                    os.kill(int(folder.name), signal.SIGKILL)
        return found


def _memory() -> str:
    """A folder in memory, where a database does not wait for a disk, if it has room for one."""
    folder = "/dev/shm"
    return folder if os.path.isdir(folder) and shutil.disk_usage(folder).free > DATABASE_BYTES else "/tmp"


def _is_of_job(folder: Path) -> bool:
    """Whether a process, by its folder in /proc, runs in a job."""
    return b"SLURM_JOB_ID=" in (folder / "environ").read_bytes()


def _wait_for(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s} s for {what}")
        time.sleep(0.3)


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
