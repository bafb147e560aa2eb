"""How the threads of a matrix product wait for each other: asleep, for there is other work to do."""

import os

_VARIABLE = "OMP_WAIT_POLICY"


def let_idle_threads_sleep() -> None:
    """Has the threads of OpenMP sleep while they wait for the slowest of them, unless the environment says otherwise.

    By default they turn in circles. Beside another process that computes, as `video-colbert index` does while a server
    is asked, each of a model's hundred products then waits for a thread that has no processor, on the processor that
    this thread would need. The variable is read when torch is loaded, so this comes first.
    """
    os.environ.setdefault(_VARIABLE, "PASSIVE")
