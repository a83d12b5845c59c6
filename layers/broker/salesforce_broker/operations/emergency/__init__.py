"""Emergency stop: functions stopped, memory and shared tokens discarded, sessions revoked."""
