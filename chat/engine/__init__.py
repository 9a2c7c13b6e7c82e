"""What runs a generation: provider → deltas → events → log. Knows no Django and no server."""
