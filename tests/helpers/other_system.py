"""Windows as far as Linux can play it: the packages find nothing in a process that Windows has not, and open files stay where they are.

:func:`be_windows` changes the whole process; :data:`SITE` has every process of a pool do so too. Other packages have releases for
Windows of their own, so only what ``cmr_planes`` and ``cmr_train`` ask for is taken away.
"""

import builtins
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

OURS = ("cmr_planes", "cmr_train")
OPEN_FILES = Path("/proc/self/fd")
"""Where Linux lists the files that a process has open."""
SITE = "from tests.helpers.other_system import be_windows\nbe_windows()\n"
"""A ``sitecustomize.py``, which Python runs at the start of every process that finds it."""

MODULES = frozenset(
    "crypt curses fcntl grp nis ossaudiodev posix pty pwd readline resource spwd syslog termios tty _curses _posixsubprocess".split()
)
"""Modules of the standard library that Windows has not."""
ATTRIBUTES: Mapping[str, Sequence[str]] = {
    "os": """chown chroot confstr ctermid fchdir fchown fdatasync fork forkpty fpathconf fstatvfs getegid geteuid getgid
        getgrouplist getgroups getloadavg getpgid getpgrp getpriority getresgid getresuid getsid getuid getxattr initgroups killpg
        lchown listxattr lockf login_tty major makedev memfd_create minor mkfifo mknod nice openpty pathconf pidfd_open
        posix_fadvise posix_fallocate posix_openpt posix_spawn posix_spawnp pread preadv pwrite pwritev readv register_at_fork
        removexattr sched_getaffinity sched_getparam sched_getscheduler sched_setaffinity sched_setscheduler sched_yield sendfile
        setegid seteuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid setsid setuid setxattr splice
        statvfs sync sysconf sysconf_names tcgetpgrp tcsetpgrp truncate_range ttyname uname unshare wait wait3 wait4 waitid writev
        O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_NOATIME O_NOCTTY O_NOFOLLOW O_NONBLOCK O_NDELAY O_PATH O_RSYNC O_SYNC
        O_TMPFILE EX_OK WNOHANG""".split(),
    "signal": """SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGRTMAX
        SIGRTMIN SIGSTKFLT SIGSTOP SIGSYS SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU
        SIGXFSZ alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigtimedwait sigwait
        sigwaitinfo SIG_BLOCK SIG_UNBLOCK SIG_SETMASK ITIMER_REAL""".split(),
    "sys": [],
    "time": "clock_getres clock_gettime clock_gettime_ns clock_settime pthread_getcpuclockid tzset CLOCK_MONOTONIC CLOCK_REALTIME".split(),
}
"""What Windows' own modules of these names have not (Python 3.11)."""
VALUES: Mapping[str, Mapping[str, object]] = {"os": {"name": "nt"}, "sys": {"platform": "win32"}}
"""What they have otherwise."""

_SHARING_VIOLATION = 32


class PoorModule(ModuleType):
    """A module without some of its attributes."""

    def __init__(self, module: ModuleType, missing: Sequence[str], values: Mapping[str, object]) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(values, _module=module, _missing=frozenset(missing))

    def __getattr__(self, name: str) -> Any:
        """Look an attribute up in the module itself."""
        if name in self._missing:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
        return getattr(self._module, name)


def be_windows() -> None:
    """Take away what Windows has not, from the packages; and from renaming and removing, for everybody, what it refuses."""
    modules = {module.__name__: module for module in (os, signal, sys, time)}
    poor = {name: PoorModule(module, ATTRIBUTES[name], VALUES.get(name, {})) for name, module in modules.items()}
    found = builtins.__import__

    def find(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  # the names of __import__
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        importer = str((globals or {}).get("__name__", ""))
        if level or importer.partition(".")[0] not in OURS:
            return found(name, globals, locals, fromlist, level)
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return poor[name] if name in poor else found(name, globals, locals, fromlist, level)

    builtins.__import__ = find
    for name, n_paths in (("replace", 2), ("rename", 2), ("remove", 1), ("unlink", 1)):
        setattr(os, name, _unless_open(getattr(os, name), n_paths))


def _unless_open(change: Any, n_paths: int) -> Any:
    """Refuse a change of a file that this process has open, or of a folder with such a file in it, as Windows does."""

    def refuse_open(*arguments: Any, **options: Any) -> Any:
        for path in map(os.path.realpath, arguments[:n_paths]) if not options else ():
            if any(opened == path or opened.startswith(f"{path}{os.sep}") for opened in _open_files()):
                error = PermissionError(13, "The process cannot access the file because it is being used by another process", path)
                error.winerror = _SHARING_VIOLATION
                raise error
        return change(*arguments, **options)

    return refuse_open


def _open_files() -> list[str]:
    """The files that this process has open."""
    found = []
    for descriptor in OPEN_FILES.iterdir():
        try:
            found.append(str(descriptor.readlink()))
        except OSError:  # that of the listing itself
            continue
    return [path for path in found if not path.startswith("/dev/")]  # where Linux keeps what processes share
