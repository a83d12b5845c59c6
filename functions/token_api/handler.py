"""Lambda handler for API Gateway."""

from __future__ import annotations

from typing import Any

from salesforce_broker import bootstrap, observability
from salesforce_broker.api import request, response

bootstrap.cold_start()


@observability.logger.inject_lambda_context(log_event=False, clear_state=True)
@observability.metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: request.LambdaContext) -> dict[str, Any]:
    """Answer a REST API proxy event; never raises."""
    try:
        token_request = request.from_api_gateway(event, context, gateway_token=bootstrap.gateway_token)
        return response.to_http(bootstrap.token_service().answer(token_request))
    except Exception as error:  # noqa: BLE001  the last resort: the runtime would send the trace to the caller
        observability.report(error)
        return response.to_http_error(error, context.aws_request_id)
