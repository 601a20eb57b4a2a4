"""Who used what: the ledgers of all gateways, as one report."""
