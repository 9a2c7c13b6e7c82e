"""The pages and the commands: each makes one domain call and translates its errors."""
