"""On disk: answers, the ledger, what runs left."""
