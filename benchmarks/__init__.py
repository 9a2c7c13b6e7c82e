"""What Parley adds between provider and page, beside what a direct client and the tutorial's server
add: `python -m benchmarks.bench`. README.md says what is measured and how."""
