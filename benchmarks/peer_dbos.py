"""Five-step workflows of DBOS, in its own environment: a line in asks for a round, one out tells.

The most used library of durable workflows. A step returns its argument; all cost is that of
recording it. Takes the URL of a database that nobody else uses, and the workflows in a round.
"""

from __future__ import annotations

import json
import sys
import time

from dbos import DBOS, DBOSConfig

STEPS = 5


@DBOS.step()
def step(number: int) -> int:
    return number


@DBOS.workflow()
def launch(number: int) -> int:
    for _ in range(STEPS):
        number = step(number)
    return number


def main() -> None:
    url, count = sys.argv[1], int(sys.argv[2])
    config: DBOSConfig = {
        "name": "benchmark",
        "system_database_url": url,
        "run_admin_server": False,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    for _ in sys.stdin:
        began, cpu = time.perf_counter(), time.process_time()
        handles = [DBOS.start_workflow(launch, number) for number in range(count)]
        for handle in handles:
            handle.get_result()
        told = {
            "done": count,
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - cpu,
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    DBOS.destroy()


if __name__ == "__main__":
    main()
