"""Which call is sent when: limits, queues, retries."""
