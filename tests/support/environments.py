"""A process with several cold environments of the broker; `fleet` starts several.

Says "ready" when the keys are there, waits for a line, asks with all of them at once, prints a line of JSON for each.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from unittest import mock

from salesforce_broker import bootstrap, config, observability
from salesforce_broker.clock import Clock
from salesforce_broker.errors import BrokerError
from salesforce_broker.tokens.model import Action, IssuedToken, TokenRequest

FUNCTION_SECONDS = 20
"""The template's Timeout."""


def main() -> None:
    """Serve as `argv[1]` environments."""
    observability.logger.setLevel(logging.CRITICAL)
    # Its lines would stand between the answers.
    mock.patch.object(observability, "audit").start()
    brokers = [bootstrap.build(config.load(), clock=Clock()) for _ in range(int(sys.argv[1]))]
    for broker in brokers:
        broker.warm()
    print("ready", flush=True)
    sys.stdin.readline()
    answers: list[dict[str, object]] = []

    def ask(number: int) -> None:
        began = time.monotonic()
        try:
            issued = brokers[number].answer(TokenRequest("invoke", Action.TOKEN, "fleet", FUNCTION_SECONDS))
            assert isinstance(issued, IssuedToken)
            answer: dict[str, object] = {"source": issued.source.value, "fingerprint": issued.token.fingerprint}
        except BrokerError as error:
            answer = {"error": error.code}
        answers.append(answer | {"seconds": time.monotonic() - began})

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(brokers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
