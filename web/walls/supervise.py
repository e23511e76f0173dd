"""A wall of two filters where namespaces are not to be had: Landlock for files, seccomp for sockets.

Stand-alone, beside `launch.py`. The program may use Unix sockets only, and who wants to connect one is answered from
here: we connect it ourselves, if its path is one of those allowed, so that nothing that the program changes
in its memory meanwhile counts (seccomp_unotify(2)). When the program ends, whatever it started is ended too.
"""

import ctypes
import errno
import os
import select
import shutil
import signal
import socket
import stat
import struct
import sys
import tempfile
from typing import Any

import landlockpy
import seccompy
from landlockpy import AccessFS, Scope
from seccompy import notify

_PR_SET_PDEATHSIG = 1
_X32 = 0x40000000
_READ = AccessFS.READ_FILE | AccessFS.READ_DIR | AccessFS.EXECUTE
_WRITE = (
    _READ
    | AccessFS.WRITE_FILE
    | AccessFS.TRUNCATE
    | AccessFS.REMOVE_DIR
    | AccessFS.REMOVE_FILE
    | AccessFS.MAKE_DIR
    | AccessFS.MAKE_REG
    | AccessFS.MAKE_SOCK
    | AccessFS.MAKE_FIFO
    | AccessFS.MAKE_SYM
    | AccessFS.REFER
    | AccessFS.RESOLVE_UNIX
)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "fd")
#: Longest of `sockaddr_un`, and where its path begins.
_ADDRESS, _PATH_AT = 110, 2


def run(argv: list[str], confine: dict[str, Any]) -> int:
    """Run the program behind the filters to its end and end what it left; the exit code, 128 and more for a signal."""
    own = tempfile.mkdtemp(prefix="cleanstart-run-")
    ended = [False]

    def end(number: int, frame: object) -> None:
        ended[0] = True

    # Whoever started us is gone, or wants the end.
    signal.signal(signal.SIGTERM, end)
    ours, its = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        try:
            _confine_and_become(argv, confine, own, its)
        except BaseException as error:
            sys.stderr.write(f"The wall could not be built: {error}\n")
        os._exit(127)
    its.close()
    try:
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        listener = notify.Listener(fds[0]) if fds else None
        _stay(child, listener, set(confine["sockets"]), ended)
        if ended[0]:
            _kill(child)
        return _exit_code(os.waitpid(child, 0)[1])
    finally:
        _end_orphans()
        shutil.rmtree(own, ignore_errors=True)


def _confine_and_become(argv: list[str], confine: dict[str, Any], own: str, channel: socket.socket) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.environ.update(HOME=own, TMPDIR=own)
    _restrict_files(confine, own)
    if confine["network"]:
        channel.send(b"-")
    else:
        listener = _restrict_sockets()
        socket.send_fds(channel, [b"+"], [listener.fileno()])
        listener.close()
    channel.close()
    os.execv(argv[0], argv)


def _restrict_files(confine: dict[str, Any], own: str) -> None:
    scoped = Scope.SIGNAL if confine["network"] else Scope.SIGNAL | Scope.ABSTRACT_UNIX_SOCKET
    with landlockpy.Ruleset(handled_net=landlockpy.AccessNet.NONE, scoped=scoped) as rules:
        rights = dict.fromkeys([*confine["reads"], "/proc", "/sys/devices/system/cpu"], _READ)
        rights |= dict.fromkeys([*confine["writes"], own], _WRITE)
        devices = (f"/dev/{name}" for name in _DEVICES)
        rights |= dict.fromkeys(devices, _READ | AccessFS.WRITE_FILE | AccessFS.IOCTL_DEV)
        # Kernels that can tell who connects to which socket (ABI 9) are told so too.
        rights |= dict.fromkeys(confine["sockets"], AccessFS.RESOLVE_UNIX)
        for path, access in rights.items():
            try:
                mode = os.stat(path).st_mode
            except OSError:
                continue
            files = AccessFS.READ_FILE | AccessFS.WRITE_FILE | AccessFS.EXECUTE | AccessFS.TRUNCATE
            allowed = (
                access
                if stat.S_ISDIR(mode)
                else access & (files | AccessFS.IOCTL_DEV | AccessFS.RESOLVE_UNIX)
            )
            rules.allow_path(path, allowed)
        rules.restrict()


def _restrict_sockets() -> notify.Listener:
    """Unix stream sockets only, connected by us; no way around that (io_uring, other calls of the same processor)."""
    rules = seccompy.Filter(flags=seccompy.FilterFlag.NEW_LISTENER)
    kind = seccompy.ArgCmp(1, seccompy.CmpOp.MASKED_EQ, socket.SOCK_STREAM, 0xF)
    rules.allow("socket", args=[seccompy.ArgCmp(0, seccompy.CmpOp.EQ, socket.AF_UNIX), kind])
    rules.errno("socket", errno.EACCES)
    rules.notify("connect")
    # A datagram carries its address; of Unix stream sockets none does.
    rules.errno("sendmmsg", errno.EACCES)
    rules.allow("sendto", args={4: 0})
    rules.errno("sendto", errno.EACCES)
    for name in ("io_uring_setup", "io_uring_enter", "io_uring_register", "ptrace", "process_vm_readv"):
        rules.errno(name, errno.ENOSYS)
    if seccompy.audit_arch() == seccompy.AUDIT_ARCH_X86_64:
        for name in ("socket", "connect", "sendto", "io_uring_setup"):
            rules.errno(_X32 | seccompy.syscall_nr(name), errno.ENOSYS)
    listener = rules.load()
    assert listener is not None
    return listener


def _stay(child: int, listener: notify.Listener | None, allowed: set[str], ended: list[bool]) -> None:
    """Stay until the program has ended or somebody wants its end, and answer who wants to connect meanwhile."""
    program = os.pidfd_open(child)
    watched = select.poll()
    watched.register(program, select.POLLIN)
    if listener is not None:
        watched.register(listener.fileno(), select.POLLIN)
    while not ended[0]:
        # Not for ever: a signal only sets `ended`.
        ready = dict(watched.poll(1000))
        if program in ready:
            break
        if listener is not None and ready.get(listener.fileno(), 0) & select.POLLIN:
            try:
                _connect(listener, listener.recv(), allowed)
            except (seccompy.SeccompError, OSError):
                continue  # whoever asked is gone
    os.close(program)
    if listener is not None:
        listener.close()


def _connect(listener: notify.Listener, asked: notify.Notification, allowed: set[str]) -> None:
    descriptor, address, length = asked.args[0], asked.args[1], min(asked.args[2], _ADDRESS)
    with open(f"/proc/{asked.pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        said = memory.read(length)
    with open(f"/proc/{asked.pid}/fdinfo/{descriptor}") as lines:
        flags = next(int(line.split()[1], 8) for line in lines if line.startswith("flags:"))
    if not listener.valid(asked.id):
        return
    family = struct.unpack_from("=H", said)[0] if len(said) >= _PATH_AT else 0
    path = os.fsdecode(said[_PATH_AT:].split(b"\0")[0])
    if family != socket.AF_UNIX or path not in allowed:
        listener.respond(asked.id, error=errno.EACCES)
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ours:
        try:
            if stat.S_ISLNK(os.lstat(path).st_mode):
                raise PermissionError(errno.EACCES, "a link")
            ours.settimeout(5)
            ours.connect(path)
            # The mode belongs to the open socket, which is theirs from now on.
            ours.setblocking(not flags & os.O_NONBLOCK)
            listener.addfd(
                asked.id,
                ours.fileno(),
                flags=notify.AddFdFlag.SETFD,
                newfd=descriptor,
                newfd_flags=flags & os.O_CLOEXEC,
            )
        except TimeoutError:
            listener.respond(asked.id, error=errno.EAGAIN)
        except OSError as error:
            listener.respond(asked.id, error=error.errno or errno.EACCES)
        else:
            listener.respond(asked.id)


def _end_orphans() -> None:
    """Kill our children until there are none: as a subreaper we get the orphans of whatever is killed."""
    while True:
        for entry in os.listdir("/proc"):
            if entry.isdigit() and _parent(entry) == os.getpid():
                _kill(int(entry))
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return -1


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
