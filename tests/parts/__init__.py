"""The real parts that tests start: Redis, PostgreSQL, nginx, each on a port of its own.

programs.py     is it installed? if not, the test is skipped and names the Debian package
process.py      one child process: start, stop, kill, freeze
redis.py        a Redis server
postgres.py     a PostgreSQL server and its databases
nginx.py        nginx with the configuration that we ship
fixtures.py     all of them as pytest fixtures
on_postgres.py  a pytest plugin: run the tests on PostgreSQL instead of SQLite
"""
