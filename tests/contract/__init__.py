"""What every backend must do, written from contracts.md and the ports; no test here asks `lash.rules`."""
