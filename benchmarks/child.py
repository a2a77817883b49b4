"""A child process: one peer, one piece of work, measured after a warm-up.

`python -m benchmarks.child ORDER` imports the peer, lets it do a grid of 72 trials,
says `ready`, waits for a line, does the work, and prints what it took as JSON.
"""

import json
import os
import sys
from dataclasses import asdict, replace
from importlib import import_module

from benchmarks.measure import cost_of
from benchmarks.peers import Site
from benchmarks.workload import VARIANTS, WITHOUT_TABLE, cases


def main() -> None:
    order = json.loads(sys.argv[1])
    # Only our own lines go to the real stdout; whatever a peer prints goes to stderr.
    parent = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    peer = import_module(f"benchmarks.peers.{order['peer']}")
    work = getattr(peer, order["task"])
    prepared = getattr(peer, "prepare", lambda dataset, site: dataset)
    site = Site(**order["site"])
    if (cache := order["warm_up_cache"]) is not None:
        work(prepared(cases(VARIANTS), site), replace(site, cache=cache))
    dataset = prepared(cases(order["trials"]), site)
    print("ready", file=parent)
    sys.stdin.readline()

    result, cost = cost_of(lambda: work(dataset, site))
    report = asdict(cost)
    if order["task"] not in WITHOUT_TABLE:
        answers = result["output"].dropna()
        report |= {
            "rows": len(result),
            "answered": len(answers),
            "distinct_answers": answers.nunique(),
        }
    print(json.dumps(report), file=parent)


if __name__ == "__main__":
    main()
