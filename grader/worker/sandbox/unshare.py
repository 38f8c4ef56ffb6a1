"""The last step into a sandbox made by ``unshare``: restricts what is visible in the new namespaces.

Started as ``python -I unshare.py SPEC COMMAND…`` in new user, mount, network and process namespaces, so it uses
the standard library only. It brings up the loopback device, mounts empty folders over everything that may hold
other processes' files, makes the rest read-only, drops all capabilities, and starts the command.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
from pathlib import Path

# Homes, temporary files, and sockets of the machine's services. What the engine needs of them is mounted again.
HIDDEN = ("/tmp", "/var/tmp", "/run", "/root", "/home", "/srv", "/mnt", "/media")  # noqa: S108

_BIND, _REC, _PRIVATE, _NOSUID, _NODEV = 0x1000, 0x4000, 1 << 18, 2, 4  # <sys/mount.h>
_SETATTR, _RECURSIVE, _RDONLY = 442, 0x8000, 1  # mount_setattr(2), Linux 5.12
_NO_NEW_PRIVILEGES, _DROP_BOUND, _LAST_CAPABILITY = 38, 24, 63  # <sys/prctl.h>
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _UP = 0x8913, 0x8914, 1
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode(), flags, options.encode())
    _call(f"mount {target}", _libc.mount(*arguments))


def _set_read_only(path: str, on: bool) -> None:
    """Make the mount at ``path`` read-only with all mounts below it, or only itself writable again."""
    attributes = struct.pack("QQQQ", _RDONLY * on, _RDONLY * (not on), 0, 0)
    recursive = _RECURSIVE if on else 0
    done = _libc.syscall(_SETATTR, -100, path.encode(), recursive, attributes, len(attributes))
    _call(f"mount_setattr {path}", done)


def bring_up_loopback() -> None:
    """Bring up the only device of a new network namespace, which starts down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(handle, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


def narrow(kept: list[str], scratch: str, hidden: str) -> None:
    """Keep only ``kept`` (read-only) and ``scratch`` (writable) in the hidden folders.

    ``hidden`` is the worker's: it has the other engine's socket and other teams' checkpoints.
    """
    _mount("none", "/", "", _REC | _PRIVATE)
    handles = {path: os.open(path, os.O_PATH) for path in (*kept, scratch)}
    for folder in filter(os.path.isdir, HIDDEN if hidden == "/" else (*HIDDEN, hidden)):
        _mount("tmpfs", folder, "tmpfs", _NOSUID | _NODEV, "size=64m,mode=755")
    for path, handle in handles.items():
        if not os.path.exists(path):
            if os.path.isdir(f"/proc/self/fd/{handle}"):
                os.makedirs(path)
            else:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                Path(path).touch()
        _mount(f"/proc/self/fd/{handle}", path, "", _BIND | _REC)
        os.close(handle)
    _set_read_only("/", True)
    _set_read_only(scratch, False)
    _mount("tmpfs", "/dev/shm", "tmpfs", _NOSUID | _NODEV)  # noqa: S108 - own shared memory


def give_up_privileges() -> None:
    _call("prctl", _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    for capability in range(_LAST_CAPABILITY + 1):
        _libc.prctl(_DROP_BOUND, capability, 0, 0, 0)  # EINVAL past the kernel's last capability


def main() -> None:
    spec, command = json.loads(sys.argv[1]), sys.argv[2:]
    bring_up_loopback()
    narrow(spec["kept"], spec["scratch"], spec["hidden"])
    os.chdir(spec["scratch"])
    give_up_privileges()
    child = os.fork()
    if child == 0:
        os.execvpe(command[0], command, os.environ)  # noqa: S606
    # The first process of a namespace ignores signals from inside, so the command runs as the second. Its
    # orphans become our children and end with this process.
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
