"""Stub; being replaced."""
import enum
class ModelState(enum.Enum):
    LOADING='l'; READY='r'; FAILED='f'
class LocalModel: ...
