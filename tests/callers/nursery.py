"""The process that forks the examples: it has imported boto3, and has read EC2's model.

It is a program of `clients.nursery`, and runs the script that is the first of its words.
"""

from __future__ import annotations

import gc
import runpy
import sys

import boto3

import sametoken.client  # noqa: F401 - the examples import it
from clients.nursery import Tender


def main() -> None:
    boto3.client("ec2", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    gc.collect()
    gc.freeze()
    words = Tender().tend()
    if words is not None:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main()
