"""What `--only` chooses from, in full and short."""

from .idle import Idle
from .long_reply import LongReply
from .viewers import Viewers
from .workloads import DEPLOYMENTS, Workload

# Minutes on a slow machine, and not much that 300 have not said: runs when it is asked for.
BY_NAME_ONLY = {"600"}

Experiment = Workload | Idle | LongReply | Viewers

FULL: tuple[Experiment, ...] = (
    Workload("one", 1, 200, 50, replies=10),
    Workload("hundred", 100, 200, 50, rounds=3),
    Workload("burst", 1, 5000, 0, rounds=3),
    Workload("300", 300, 100, 20, ramp_s=20, servers=DEPLOYMENTS),
    Workload("600", 600, 100, 20, ramp_s=20, servers=DEPLOYMENTS),
    # Pages look at the database every 15 seconds: the windows are multiples of that.
    Idle("idle", 1000, idle_s=30, reply=Workload("reply", 1, 1900, 200, replies=3)),
    LongReply("long", Workload("reply", 1, 40_000, 1000)),
    Viewers("viewers", 10, Workload("reply", 1, 400, 50, replies=3)),
)
QUICK: tuple[Experiment, ...] = (
    Workload("one", 1, 50, 50, replies=3),
    Workload("hundred", 100, 50, 50),
    Workload("burst", 1, 1000, 0),
    Workload("300", 30, 100, 20, ramp_s=3, servers=DEPLOYMENTS[1:]),
    Workload("600", 60, 100, 20, ramp_s=3, servers=DEPLOYMENTS[1:]),
    Idle("idle", 100, idle_s=15, reply=Workload("reply", 1, 100, 50)),
    LongReply("long", Workload("reply", 1, 8000, 1000)),
    Viewers("viewers", 10, Workload("reply", 1, 100, 50)),
)
