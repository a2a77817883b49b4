"""The responder of the offline model: what it answers."""
