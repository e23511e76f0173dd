"""The last step before a program runs: change user, tie its life to its parent, then become the program.

Stand-alone (`python -I -S launch.py …`), because doing this between fork and exec inside a process with
threads is not safe. argv: parent's pid, signal at the parent's death, uid, gid (-1: keep), 1 to adopt
orphans, program, arguments.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Become the program; exit 127 with a message where that is not possible."""
    parent, death_signal, uid, gid, adopt = (int(text) for text in sys.argv[1:6])
    argv = sys.argv[6:]
    prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None
    if uid >= 0:
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
    if prctl is not None:
        # After setuid, which clears it (prctl(2), PR_SET_PDEATHSIG).
        prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if adopt:
            prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(127)  # the parent died before the signal was set
    try:
        os.execv(argv[0], argv)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        sys.exit(127)


main()
