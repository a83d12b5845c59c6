"""Lambda handler for direct invocation by other functions. IAM decides who may invoke it."""

from __future__ import annotations

from typing import Any

from salesforce_broker import bootstrap, observability
from salesforce_broker.api import request, response

bootstrap.cold_start()


@observability.logger.inject_lambda_context(log_event=False, clear_state=True)
@observability.metrics.log_metrics
def lambda_handler(event: object, context: request.LambdaContext) -> dict[str, Any]:
    """Answer a payload; raise a BrokerError whose text is the answer as JSON."""
    try:
        token_request = request.from_invoke(event, context)
        return response.to_invoke(bootstrap.token_service().answer(token_request))
    except Exception as error:  # noqa: BLE001  the last resort: the runtime would send the trace to the caller
        observability.report(error)
        raise response.to_invoke_error(error, context.aws_request_id) from None
