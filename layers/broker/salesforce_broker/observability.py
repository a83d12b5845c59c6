"""What the function says about itself: one logger and one set of metrics.

Owns names of log events and metrics, and keeps libraries from talking. Never logs an event, a token, an assertion, a key
or the message of an exception that is not the broker's own.

There is no tracer here: Lambda's own active tracing needs no code, and the X-Ray SDK would make the imports of a cold
start longer by two thirds (docs/decisions/0002).
"""

from __future__ import annotations

import logging
import os
import traceback
import warnings

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from salesforce_broker.errors import AccessDenied, BrokerError, InternalError, InvalidRequest, SalesforceError

METRICS_NAMESPACE = "SalesforceTokenBroker"
SERVICE = "salesforce-token-broker"

FUNCTION_NAME = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
"""Set by Lambda: which door of which stack this is."""

TALKATIVE_LIBRARIES = ("boto3", "botocore", "urllib3", "requests", "s3transfer")
"""At DEBUG botocore prints the body of GetSecretValue and urllib3 each URL; a log level setting must not reach them."""

for _library in TALKATIVE_LIBRARIES:
    logging.getLogger(_library).setLevel(logging.WARNING)

# A request that counts nothing (a health check) is no reason for a warning in the log.
warnings.filterwarnings("ignore", message="No application metrics to publish", category=UserWarning)

logger = Logger(service=SERVICE)
metrics = Metrics(namespace=METRICS_NAMESPACE, service=SERVICE)
# A function is a door of one stack: two orgs in an account never add up.
metrics.set_default_dimensions(function_name=FUNCTION_NAME)


def _codes(root: type[BrokerError]) -> set[str]:
    own = {root.code} if hasattr(root, "code") else set()
    return own.union(*(_codes(each) for each in root.__subclasses__()))


METRICS = frozenset(
    {
        *(f"TokenIssued.{source}" for source in ("memory", "shared", "salesforce")),
        *(f"Error.{code}" for code in _codes(BrokerError)),
        *(f"LoginFailed.{code}" for code in _codes(SalesforceError)),
        *(f"Key.{action}" for action in ("create", "import", "certificate", "finish", "rollback", "watch")),
        "CallerFault",
        "LoginAttempt",
        "LoginsPaused",
        "LoginsResumed",
        "EventNotSent",
        "SharedCacheDegraded",
        "KeyAgeDays",
        "CertificateDaysLeft",
        "KeyWaits",
    }
)
"""All there are, under the dimensions service and function_name: what alarms and the dashboard may ask for."""


def count(name: str) -> None:
    """Count one occurrence of `name` in CloudWatch (EMF, flushed by the door's decorator)."""
    _add(name, MetricUnit.Count, 1)


def gauge(name: str, value: float) -> None:
    """Tell CloudWatch what `name` is now."""
    _add(name, MetricUnit.NoUnit, value)


def _add(name: str, unit: MetricUnit, value: float) -> None:
    assert name in METRICS, name
    metrics.add_metric(name=name, unit=unit, value=value)


def audit(event: str, **fields: object) -> None:
    """Write one line about a decision: who asked (door, caller), for whom, and what became of it.

    At any log level; and unlike a log line, which nobody misses, it raises where it cannot be written.
    """
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    record = logging.LogRecord(SERVICE, logging.INFO, "audit", 0, event, None, None)
    record.__dict__.update(fields)
    handler.stream.write(handler.format(record) + handler.terminator)
    handler.stream.flush()


def report(error: Exception) -> None:
    """Log a failed request once, where it leaves the broker.

    Of an exception that is not the broker's own only the type and the places are logged: its message may quote anything.
    """
    if isinstance(error, BrokerError) and not isinstance(error, InternalError):
        count(f"Error.{error.code}")
        if isinstance(error, InvalidRequest | AccessDenied):
            count("CallerFault")
        logger.warning(
            "request failed",
            error=error.code,
            error_class=type(error).__name__,
            error_description=error.description,
            hint=error.hint,
            retry_after=error.retry_after,
        )
        return
    count(f"Error.{InternalError.code}")
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    logger.error("request failed by a defect", error=InternalError.code, error_class=type(error).__name__, places=places)
