"""A launch that falls back to other types and zones when there is no capacity.

Each choice is another request, and has a token of its own. The order's row says which choice it
has come to, and goes on to the next one only after EC2 has *said* that there is no capacity: an
answer that was lost is asked for again, under the same token. So a program that dies between two
tries comes back to the choice at which it was, and never launches for a choice that it had left.
Two programs at once might, so the file is locked for as long as one of them is at it. A network
that delivers a request once more, after its failure was heard, cannot be ruled out by a caller;
tag what you launch with the order, and look for two now and then.

Usage: fallback.py DATABASE ORDER, a file of SQLite. Prints the choice and its instance.
"""

from __future__ import annotations

import itertools
import sqlite3
import sys
from contextlib import closing

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from sametoken.client import RetryingCaller, stable_token

IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
TYPES, ZONES = ("m5.large", "m5a.large", "t3.large"), ("us-east-1a", "us-east-1b")
# In order of preference, for ever: an order that is half done goes by the list it began with.
CHOICES = tuple(itertools.product(TYPES, ZONES))
NO_CAPACITY = "InsufficientInstanceCapacity"


def come_to(database: sqlite3.Connection, order: str) -> int:
    """Lock the file, and read the choice that an order has come to; the first is 0."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    # Not the first read, which another program may share, but the lock at once: it stays.
    database.execute("BEGIN EXCLUSIVE")
    database.execute("CREATE TABLE IF NOT EXISTS launch (number TEXT PRIMARY KEY, choice INT)")
    database.execute("INSERT OR IGNORE INTO launch VALUES (?, 0)", (order,))
    database.execute("COMMIT")
    found = database.execute("SELECT choice FROM launch WHERE number = ?", (order,))
    return int(found.fetchone()[0])


def launch(database: sqlite3.Connection, order: str) -> tuple[str, str, str]:
    """Return the type, the zone and the instance of an order. Raises when no choice is left."""
    ec2 = boto3.client("ec2", config=Config(retries={"total_max_attempts": 1}))
    caller = RetryingCaller(attempts=None, quota=None, final={NO_CAPACITY})
    for number in range(come_to(database, order), len(CHOICES)):
        database.execute("UPDATE launch SET choice = ? WHERE number = ?", (number, order))
        instance_type, zone = CHOICES[number]
        try:
            answer = caller.call(
                ec2.run_instances,
                ImageId=IMAGE, InstanceType=instance_type, MinCount=1, MaxCount=1,
                Placement={"AvailabilityZone": zone},
                ClientToken=stable_token("order", order, instance_type, zone),
            )  # fmt: skip
            return instance_type, zone, answer["Instances"][0]["InstanceId"]
        except ClientError as refused:
            if refused.response["Error"]["Code"] != NO_CAPACITY:
                raise
            print(f"no capacity for {instance_type} in {zone}", flush=True)
    raise SystemExit(f"no capacity anywhere for order {order}")


def main(file: str, order: str) -> None:
    with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as database:
        instance_type, zone, instance = launch(database, order)
        print(f"order {order} is {instance}, {instance_type} in {zone}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
