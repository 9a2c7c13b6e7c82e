"""Many processes and the parts around them: nginx, PostgreSQL, Redis, compose.yaml."""
