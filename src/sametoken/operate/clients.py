"""Pointing a client at a database's endpoint: an access key, a Region, a URL."""

from __future__ import annotations

from sametoken.errors import Misconfigured
from sametoken.nearest import did_you_mean
from sametoken.operate import accounts
from sametoken.operate.opened import Opened
from sametoken.resources.catalogues.geography import REGIONS
from sametoken.settings import DEFAULT_HOST, DEFAULT_PORT
from sametoken.store import nodes
from sametoken.store.gate import node_url
from sametoken.store.reading import Reads

_DEFAULT_URL = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"


def environment(here: Opened[Reads], name: str, region: str) -> dict[str, str]:
    """Variables that AWS clients read: the account's newest full key, the Region, the endpoint.

    Raises `Misconfigured` if there is no account called `name`, or no such Region.
    """
    if region not in REGIONS:
        hint = did_you_mean(region, REGIONS)
        raise Misconfigured(f"there is no Region {region!r} here.{hint}")
    known = {key.name for key in accounts.keys(here)}
    if name not in known:
        there_are = f"there are: {', '.join(sorted(known))}" if known else "there is none yet"
        raise Misconfigured(f"there is no account {name!r}; {there_are}")
    secrets = accounts.secrets(here, name)
    chosen = next((one for one in reversed(secrets) if one.access == "full"), secrets[-1])
    return variables(chosen.id, chosen.secret, region, endpoint(here) or _DEFAULT_URL)


def variables(access_key_id: str, secret: str, region: str, url: str) -> dict[str, str]:
    """Variables that AWS clients read."""
    return {
        "AWS_ACCESS_KEY_ID": access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": region,
        # Name the two services that are served. AWS_ENDPOINT_URL would send every other one here.
        "AWS_ENDPOINT_URL_EC2": url,
        "AWS_ENDPOINT_URL_STS": url,
    }


def endpoint(here: Opened[Reads]) -> str | None:
    """The URL at which a node of the database serves, or served last; None if none has."""
    if here.database.file is not None:
        return node_url(here.database.file)
    urls = [node.url for node in here.store.read(nodes.living) if node.url is not None]
    return urls[0] if urls else None
