"""Moderation of transcripts: one file per backend, one verdict per message."""
