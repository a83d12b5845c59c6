"""A switch for each thing that nobody outside Salesforce knows; docs/local-salesforce.md has each one's grade of evidence."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

STRICT = ConfigDict(extra="forbid", validate_assignment=True, validate_default=True, hide_input_in_errors=True)
"""Unknown fields are refused by name, and no error repeats the value that was given: it may be a private key."""


class Switches(BaseModel):
    """What is assumed of Salesforce, and limits. Times are seconds."""

    model_config = STRICT

    max_exp: int | None = Field(None, ge=1)
    grace_after_exp: int = Field(180, ge=0)
    exchange_restarts_idle_timer: bool = False
    jwt_tokens_are_reused: bool = False
    certificate_swap_ends_sessions: bool = False
    certificate_propagation: int = Field(0, ge=0)
    replayed_jti_is_refused: bool = False
    concurrent_requests_are_refused: bool = False
    refresh_token_scope_is_required: bool = False
    my_domain_audience_is_refused: bool = False
    logins_an_hour: int = Field(3600, ge=0)
    rate_limit_answer: Literal["json", "text"] = "json"
    audience_text: Literal["audience is invalid", "Audience validation failed"] = "audience is invalid"
    inactive_user_error: Literal["inactive_user", "invalid_grant"] = "inactive_user"
    lightning_answer: Literal["redirect", "html"] = "redirect"
    error_descriptions: bool = True
    optional_answer_fields: bool = False
    polls_of_a_deployment: int = Field(1, ge=0)
