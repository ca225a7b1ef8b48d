"""A queue consumer that launches one instance an order, whatever comes twice and whenever it dies.

Messages come at least once, as from SQS: a message that was not acknowledged comes again, and one
order may have been sent in two messages. The consumer may be killed at any moment, also between
the launch and the acknowledgement. It has no memory of its own: the token says which order it is.

Usage: queue_consumer.py QUEUE, a file of SQLite. Ends when the queue is empty.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing

import boto3
from botocore.config import Config

from sametoken.client import RetryingCaller, stable_token

IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


def open_queue(file: str) -> sqlite3.Connection:
    queue = sqlite3.connect(file, timeout=60, isolation_level=None)
    queue.execute("CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, body TEXT)")
    return queue


def received(queue: sqlite3.Connection) -> Iterator[tuple[int, str]]:
    """Yield the oldest message until there is none; one that is not acknowledged comes again."""
    while message := queue.execute("SELECT id, body FROM message ORDER BY id LIMIT 1").fetchone():
        yield message


def main(file: str) -> None:
    ec2 = boto3.client("ec2", config=Config(retries={"total_max_attempts": 1}))
    caller = RetryingCaller(attempts=10)
    with closing(open_queue(file)) as queue:
        for receipt, body in received(queue):
            order = json.loads(body)
            answer = caller.call(
                ec2.run_instances,
                ImageId=IMAGE, InstanceType=order["type"], MinCount=1, MaxCount=1,
                # Of the order, and not of the message, of which there may be two.
                ClientToken=stable_token("order", order["number"]),
            )  # fmt: skip
            print(f"order {order['number']} is {answer['Instances'][0]['InstanceId']}", flush=True)
            # If this process dies here, the message comes again, and names the same instance.
            queue.execute("DELETE FROM message WHERE id = ?", (receipt,))


if __name__ == "__main__":
    main(sys.argv[1])
