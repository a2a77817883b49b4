"""The server of the offline model: the protocol, checked and answered."""
