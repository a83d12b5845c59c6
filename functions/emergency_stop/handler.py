"""The operator's door for emergencies: stops the others, and opens them again. Allowed by IAM, to administrators alone."""

from __future__ import annotations

from typing import Any

from salesforce_broker import observability, operator_request, operator_wiring, request, response


@observability.logger.inject_lambda_context(log_event=False, clear_state=True)
@observability.metrics.log_metrics
def lambda_handler(event: object, context: request.LambdaContext) -> dict[str, Any]:
    """Do what the payload's action says; raise a BrokerError whose text is the answer as JSON."""
    try:
        asked = operator_request.from_emergency(event, context)
        return response.to_emergency(operator_wiring.emergency_stop().answer(asked))
    except Exception as error:  # noqa: BLE001  the last resort: the runtime would send the trace to the caller
        observability.report(error)
        raise response.to_invoke_error(error, context.aws_request_id) from None
