"""A workload of which at most one instance lives: a new generation once the former has ended.

Any number of these programs may run at once, on any machine, and die at any moment. All share the
number of the present generation, in a database that outlives them: tokens are remembered for a
day after an instance has ended, and no longer. The number grows only after the instance of that
generation was seen to have ended, so the next one is never launched beside it.

Usage: singleton.py DATABASE NAME, a file of SQLite. Prints the generation and its instance.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing

import boto3

from sametoken.client import once

IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


def present(database: sqlite3.Connection, name: str) -> int:
    """Read the number of the present generation; the first is 1."""
    database.execute("CREATE TABLE IF NOT EXISTS workload (name TEXT PRIMARY KEY, generation INT)")
    database.execute("INSERT OR IGNORE INTO workload VALUES (?, 1)", (name,))
    found = database.execute("SELECT generation FROM workload WHERE name = ?", (name,))
    return int(found.fetchone()[0])


def end(database: sqlite3.Connection, name: str, generation: int) -> None:
    """Make the next generation the present one, unless another program has done so already."""
    database.execute(
        "UPDATE workload SET generation = ? WHERE name = ? AND generation = ?",
        (generation + 1, name, generation),
    )


def keep_one(database: sqlite3.Connection, name: str) -> tuple[int, str]:
    """Return the generation that lives, and its instance, launched if there is none."""
    ec2 = boto3.client("ec2")
    while True:
        generation = present(database, name)
        answer = once(
            lambda token: ec2.run_instances(
                ImageId=IMAGE, InstanceType="t3.micro", MinCount=1, MaxCount=1, ClientToken=token
            ),
            "singleton", name, generation,
        )  # fmt: skip
        instance = answer["Instances"][0]["InstanceId"]
        # A repeat tells the state of now. An instance that is shutting down is not gone yet.
        match answer["Instances"][0]["State"]["Name"]:
            case "shutting-down":
                ec2.get_waiter("instance_terminated").wait(
                    InstanceIds=[instance], WaiterConfig={"Delay": 1, "MaxAttempts": 600}
                )
                end(database, name, generation)
            case "terminated":
                end(database, name, generation)
            case _:
                return generation, instance


def main(file: str, name: str) -> None:
    with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as database:
        generation, instance = keep_one(database, name)
        print(f"generation {generation} of {name} is {instance}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
