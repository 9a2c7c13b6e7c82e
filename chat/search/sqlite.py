"""The index in SQLite: FTS5, with a copy of what it indexes, so that deleting needs no old text."""

from chat.search.terms import Term

TABLE = "chat_search"
CUT_OFF = ""  # every text is indexed whole

_ENTER = (
    "DELETE FROM chat_search WHERE rowid = {id};"
    " INSERT INTO chat_search(rowid, text, reasoning) {values};"
)
TABLES = [
    "CREATE VIRTUAL TABLE IF NOT EXISTS chat_search"
    " USING fts5(text, reasoning, tokenize = 'unicode61 remove_diacritics 2')"
]
TRIGGERS = [
    "CREATE TRIGGER IF NOT EXISTS chat_search_said AFTER INSERT ON chat_message"
    " WHEN NEW.text <> '' BEGIN "
    + _ENTER.format(id="NEW.id", values="VALUES (NEW.id, NEW.text, NEW.reasoning)")
    + " END",
    "CREATE TRIGGER IF NOT EXISTS chat_search_replied AFTER INSERT ON chat_receipt BEGIN "  # noqa: S608
    + _ENTER.format(
        id="(SELECT message_id FROM chat_generation WHERE id = NEW.generation_id)",
        values="SELECT m.id, m.text, m.reasoning FROM chat_message m"
        " JOIN chat_generation g ON g.message_id = m.id WHERE g.id = NEW.generation_id",
    )
    + " END",
    # While a reply is being written it is not indexed yet, and this has nothing to do.
    "CREATE TRIGGER IF NOT EXISTS chat_search_changed"
    " AFTER UPDATE OF text, reasoning ON chat_message"
    " WHEN (NEW.text <> OLD.text OR NEW.reasoning <> OLD.reasoning)"
    " AND EXISTS (SELECT 1 FROM chat_search WHERE rowid = OLD.id) BEGIN"
    " UPDATE chat_search SET text = NEW.text, reasoning = NEW.reasoning WHERE rowid = OLD.id;"
    " END",
    "CREATE TRIGGER IF NOT EXISTS chat_search_gone AFTER DELETE ON chat_message BEGIN"
    " DELETE FROM chat_search WHERE rowid = OLD.id; END",
]
FILL = (
    "INSERT INTO chat_search(rowid, text, reasoning)"
    " SELECT m.id, m.text, m.reasoning FROM chat_message m"
    " LEFT JOIN chat_generation g ON g.message_id = m.id"
    " LEFT JOIN chat_receipt r ON r.generation_id = g.id"
    " WHERE (m.text <> '' OR m.reasoning <> '') AND (g.id IS NULL OR r.id IS NOT NULL)"
)
NO_TRIGGERS = [
    f"DROP TRIGGER IF EXISTS chat_search_{name}" for name in ("said", "replied", "changed", "gone")
]
COUNT = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'chat_search_%'"
REMOVE = [*NO_TRIGGERS, "DROP TABLE IF EXISTS chat_search"]
FORGET = ["INSERT INTO chat_search(chat_search) VALUES ('optimize')"]


def found(term: Term) -> tuple[str, list[str]]:
    """The ids of messages with the term. Quoted, nothing in it is an operator."""
    quoted = f'"{term.text}"' + ("*" if term.is_prefix else "")  # parse() leaves no quote in it
    return "SELECT rowid FROM chat_search WHERE chat_search MATCH %s", [quoted]
