"""`python -m salesforce_broker_client token|identity|env`: tokens for the command line, by your own AWS credentials.

    token      print the access token, and nothing else
    identity   print whose it is, as JSON
    env        print export lines for a shell: SF_ACCESS_TOKEN and SF_ORG_INSTANCE_URL, which
               `sf org login access-token --instance-url "$SF_ORG_INSTANCE_URL" --no-prompt` takes

The broker is --function NAME, --url URL, or what SALESFORCE_BROKER_FUNCTION or SALESFORCE_BROKER_URL says.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys

from salesforce_broker_client.broker import Broker
from salesforce_broker_client.errors import BrokerError


def main(argv: list[str] | None = None) -> int:
    """Run a command; return the exit status: 0, 1 for an answer that is not a token, 2 for a mistake in the command."""
    parser = argparse.ArgumentParser(
        prog="python -m salesforce_broker_client", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["token", "identity", "env"])
    parser.add_argument("--function", help="the broker's function: name, ARN or alias")
    parser.add_argument("--url", help="the broker's URL")
    parser.add_argument("--region", help="the broker's region, if it is not yours")
    parser.add_argument("--sub", help="the Salesforce user, if not the broker's default")
    parser.add_argument("--min-ttl", type=int, default=0, metavar="SECONDS", help="which the token must still live")
    arguments = parser.parse_args(argv)
    try:
        broker = Broker(arguments.function, url=arguments.url, region=arguments.region)
    except ValueError as error:
        parser.error(str(error))
    try:
        if arguments.command == "identity":
            print(json.dumps(broker.identity(arguments.sub), indent=2))
            return 0
        token = broker.token(arguments.sub, arguments.min_ttl)
    except BrokerError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return 1
    if arguments.command == "env":
        print(f"export SF_ACCESS_TOKEN={shlex.quote(token.access_token)}")
        print(f"export SF_ORG_INSTANCE_URL={shlex.quote(token.instance_url)}")
    else:
        print(token.access_token)
    return 0


if __name__ == "__main__":
    sys.exit(main())
