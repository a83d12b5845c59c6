"""Logs, metrics and audit lines: one logger, one set of metrics, and libraries kept quiet.

Never logs an event, a token, an assertion, a key or the message of an exception that is not the broker's own. There is no
tracer: Lambda's own active tracing needs no code, and the X-Ray SDK would make the imports of a cold start longer by two thirds
(docs/decisions/0002).
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
"""Set by Lambda: which function of which stack this is."""

LIBRARY_LOGGERS = ("boto3", "botocore", "urllib3", "requests", "s3transfer")
"""At DEBUG botocore prints the body of GetSecretValue and urllib3 each URL; a log level setting must not reach them."""

for _library in LIBRARY_LOGGERS:
    logging.getLogger(_library).setLevel(logging.WARNING)

# A request that counts nothing (a health check) is no reason for a warning in the log.
warnings.filterwarnings("ignore", message="No application metrics to publish", category=UserWarning)

logger = Logger(service=SERVICE)
metrics = Metrics(namespace=METRICS_NAMESPACE, service=SERVICE)
# By function, so that two stacks in one account never add up.
metrics.set_default_dimensions(function_name=FUNCTION_NAME)


def _codes(root: type[BrokerError]) -> set[str]:
    own = {root.code} if hasattr(root, "code") else set()
    return own.union(*(_codes(each) for each in root.__subclasses__()))


METRICS = frozenset(
    {
        *(f"TokenIssued.{source}" for source in ("memory", "shared", "salesforce")),
        *(f"Error.{code}" for code in _codes(BrokerError)),
        *(f"LoginFailed.{code}" for code in _codes(SalesforceError)),
        *(f"Key.{action}" for action in ("create", "import", "certificate", "finish", "rollback", "check")),
        "CallerFault",
        "LoginAttempt",
        "LoginsPaused",
        "LoginsResumed",
        "EventNotSent",
        "GatewayMismatch",
        "SharedCacheDegraded",
        "KeyAgeDays",
        "CertificateDaysLeft",
        "PendingKey",
    }
)
"""All metrics, under the dimensions service and function_name; alarms and the dashboard use no others."""


def count(name: str) -> None:
    """Count one occurrence of `name` in CloudWatch (EMF, flushed by the handler's decorator)."""
    _add(name, MetricUnit.Count, 1)


def gauge(name: str, value: float) -> None:
    """Record the present value of `name` in CloudWatch."""
    _add(name, MetricUnit.NoUnit, value)


def _add(name: str, unit: MetricUnit, value: float) -> None:
    assert name in METRICS, name
    metrics.add_metric(name=name, unit=unit, value=value)


def audit(event: str, **fields: object) -> None:
    """Write one line about a decision: who asked (entry point, caller), for whom, and what became of it.

    It is written at any log level and, unlike a log line, raises where it cannot be written.
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
