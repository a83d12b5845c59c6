"""A function that does nothing: what the runtime itself costs."""


def lambda_handler(event: object, context: object) -> dict[str, str]:
    """Answer."""
    del event, context
    return {"source": "nothing"}
