"""The Lambda that most people write: boto3, PyJWT and requests, straight through, nothing cached."""

import json
import os
import time
from typing import Any

import boto3
import jwt
import requests


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Read the key, sign, exchange."""
    del event, context
    answer = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["SIGNING_KEY_SECRET_ARN"])
    secret = json.loads(answer["SecretString"])
    claims = {
        "iss": secret["client_id"],
        "sub": os.environ["SALESFORCE_USERNAME"],
        "aud": os.environ["SALESFORCE_LOGIN_URL"],
        "exp": int(time.time()) + 180,
    }
    response = requests.post(
        os.environ["SALESFORCE_LOGIN_URL"] + "/services/oauth2/token",
        data={
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": jwt.encode(claims, secret["private_key"], algorithm="RS256"),
        },
        timeout=10,
    )
    token: dict[str, Any] = response.json()
    return token
