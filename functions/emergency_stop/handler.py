"""Lambda handler for the emergency stop of the token functions. IAM allows it to administrators alone."""

from __future__ import annotations

from typing import Any

from salesforce_broker import observability
from salesforce_broker.api import response
from salesforce_broker.api.request import LambdaContext
from salesforce_broker.operations import bootstrap, request
from salesforce_broker.operations.response import to_emergency_answer


@observability.logger.inject_lambda_context(log_event=False, clear_state=True)
@observability.metrics.log_metrics
def lambda_handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Run the payload's action; raise a BrokerError whose text is the answer as JSON."""
    try:
        emergency_request = request.from_emergency(event, context)
        return to_emergency_answer(bootstrap.emergency_stop().answer(emergency_request))
    except Exception as error:  # noqa: BLE001  the last resort: the runtime would send the trace to the caller
        observability.report(error)
        raise response.to_invoke_error(error, context.aws_request_id) from None
