"""A switch for each thing that nobody outside Salesforce knows; docs/local-salesforce.md has each one's grade of evidence."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

STRICT = ConfigDict(extra="forbid", validate_assignment=True, validate_default=True, hide_input_in_errors=True)
"""Unknown fields are refused by name, and no error repeats the value that was given: it may be a private key."""


MAX_SECONDS = 10 * 365 * 24 * 3600
MAX_COUNT = 1_000_000_000
Seconds = Annotated[int, Field(ge=0, le=MAX_SECONDS)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]


class Switches(BaseModel):
    """What is assumed of Salesforce, and limits. Times are seconds."""

    model_config = STRICT

    max_exp: Seconds | None = None
    grace_after_exp: Seconds = 180
    exchange_restarts_idle_timer: bool = False
    jwt_tokens_are_reused: bool = False
    certificate_swap_ends_sessions: bool = False
    certificate_propagation: Seconds = 0
    replayed_jti_is_refused: bool = False
    concurrent_requests_are_refused: bool = False
    refresh_token_scope_is_required: bool = False
    my_domain_audience_is_refused: bool = False
    logins_an_hour: Count = 3600
    rate_limit_answer: Literal["json", "text"] = "json"
    audience_text: Literal["audience is invalid", "Audience validation failed"] = "audience is invalid"
    inactive_user_error: Literal["inactive_user", "invalid_grant"] = "inactive_user"
    lightning_answer: Literal["redirect", "html"] = "redirect"
    error_descriptions: bool = True
    optional_answer_fields: bool = False
    polls_of_a_deployment: Count = 1
