"""The last step before a program runs: limits, user, filters; tie its life to its parent; become the program.

Stand-alone (`python -I launch.py SPEC PROGRAM …`), because doing this between fork and exec inside a process with
threads is not safe. SPEC is JSON, all keys optional: `parent` and `death_signal` (what the program gets when that
process dies), `adopt` (orphans of the program become its children), `uid` and `gid`, `cwd`, `limits`, `confine`. With
`confine` it does not become the program but stays beside it: `supervise.py`.
"""

import ctypes
import json
import os
import resource
import sys
from types import ModuleType

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
#: Higher than any capability that a kernel knows; dropping one that there is not is refused, which ends the list.
_CAPABILITIES = 64


def main() -> None:
    """Become the program; exit 127 with a message where that is not possible."""
    spec, argv = json.loads(sys.argv[1]), sys.argv[2:]
    # Before the user changes, who may not be able to read it.
    supervise = load_supervise() if "confine" in spec else None
    prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None
    for name, most in spec.get("limits", {}).items():
        limit(getattr(resource, name), most)
    if "uid" in spec:
        if prctl is not None:
            for capability in range(_CAPABILITIES):
                if prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                    break
        os.setgroups([spec["gid"]])
        os.setgid(spec["gid"])
        os.setuid(spec["uid"])
    if "cwd" in spec:
        os.chdir(spec["cwd"])
    if prctl is not None:
        if spec.get("sealed"):
            prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if "death_signal" in spec:
            # After setuid, which clears it (prctl(2), PR_SET_PDEATHSIG).
            prctl(_PR_SET_PDEATHSIG, spec["death_signal"], 0, 0, 0)
        if spec.get("adopt") or "confine" in spec:
            prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if "parent" in spec and os.getppid() != spec["parent"]:
        sys.exit(127)  # the parent died before the signal was set
    if supervise is not None:
        sys.exit(supervise.run(argv, spec["confine"]))
    try:
        os.execv(argv[0], argv)
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        sys.exit(127)


def load_supervise() -> ModuleType:
    """The module that stays beside a confined program."""
    import importlib.util

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "supervise.py")
    found = importlib.util.spec_from_file_location("_cleanstart_supervise", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def limit(what: int, most: int) -> None:
    """Set a limit, at most to what we have ourselves."""
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    main()
