"""The index in PostgreSQL: a table beside the messages, with a tsvector under a GIN index.

ASCII punctuation becomes spaces first: PostgreSQL's parser would make one word of an address or a
path, and a search for a part of it would find nothing. The dictionary is "simple": transcripts are
in any language.
"""

from chat.search.terms import Term

TABLE = "chat_search"
# Positions in a tsvector end at 16,383, and words take two characters at least; so phrases are
# found wherever they stand, and no text comes near the 1 MB that a tsvector may have.
INDEXED_CHARS = 32_000
CUT_OFF = "SELECT message_id FROM chat_search WHERE NOT is_whole"

_SIGNS = r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"""
_LITERAL = _SIGNS.replace("'", "''")
_AS_SPACES = str.maketrans(dict.fromkeys(_SIGNS, " "))
_BOTH = "m.text || ' ' || m.reasoning"
_VECTOR = (
    f"to_tsvector('simple', translate(left({_BOTH}, {INDEXED_CHARS}), '{_LITERAL}',"
    f" repeat(' ', {len(_SIGNS)})))"
)
_VALUES = f"m.id, {_VECTOR}, length({_BOTH}) <= {INDEXED_CHARS}"
_OVER = (
    " ON CONFLICT (message_id) DO UPDATE"
    " SET document = EXCLUDED.document, is_whole = EXCLUDED.is_whole"
)
_INSERT = f"INSERT INTO chat_search(message_id, document, is_whole) SELECT {_VALUES}"
_CHANGED = "NEW.text <> OLD.text OR NEW.reasoning <> OLD.reasoning"


def _function(name: str, body: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION chat_search_{name}() RETURNS trigger LANGUAGE plpgsql"
        f" AS $$ BEGIN {body} RETURN NULL; END $$"
    )


def _trigger(name: str, when: str, condition: str = "") -> str:
    guard = f" WHEN ({condition})" if condition else ""
    return (
        f"CREATE OR REPLACE TRIGGER chat_search_{name} AFTER {when}"
        f" FOR EACH ROW{guard} EXECUTE FUNCTION chat_search_{name}()"
    )


TABLES = [
    "CREATE TABLE IF NOT EXISTS chat_search ("
    " message_id bigint PRIMARY KEY, document tsvector NOT NULL, is_whole boolean NOT NULL)",
    "CREATE INDEX IF NOT EXISTS chat_search_document ON chat_search USING gin (document)",
    "CREATE INDEX IF NOT EXISTS chat_search_cut_off ON chat_search (message_id) WHERE NOT is_whole",
]
TRIGGERS = [
    _function("said", f"{_INSERT} FROM (SELECT NEW.id, NEW.text, NEW.reasoning) m {_OVER};"),
    _trigger("said", "INSERT ON chat_message", "NEW.text <> ''"),
    _function(
        "replied",
        f"{_INSERT} FROM chat_message m JOIN chat_generation g ON g.message_id = m.id"
        f" WHERE g.id = NEW.generation_id {_OVER};",
    ),
    _trigger("replied", "INSERT ON chat_receipt"),
    _function(
        "changed",
        f"IF EXISTS (SELECT 1 FROM chat_search WHERE message_id = NEW.id) THEN"  # noqa: S608
        f" {_INSERT} FROM (SELECT NEW.id, NEW.text, NEW.reasoning) m {_OVER}; END IF;",
    ),
    _trigger("changed", "UPDATE OF text, reasoning ON chat_message", _CHANGED),
    _function("gone", "DELETE FROM chat_search WHERE message_id = OLD.id;"),
    _trigger("gone", "DELETE ON chat_message"),
]
FILL = (
    f"{_INSERT} FROM chat_message m"
    " LEFT JOIN chat_generation g ON g.message_id = m.id"
    " LEFT JOIN chat_receipt r ON r.generation_id = g.id"
    " WHERE (m.text <> '' OR m.reasoning <> '') AND (g.id IS NULL OR r.id IS NOT NULL)"
)
NO_TRIGGERS = [
    "DROP TRIGGER IF EXISTS chat_search_said ON chat_message",
    "DROP TRIGGER IF EXISTS chat_search_replied ON chat_receipt",
    "DROP TRIGGER IF EXISTS chat_search_changed ON chat_message",
    "DROP TRIGGER IF EXISTS chat_search_gone ON chat_message",
]
COUNT = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'chat_search_%'"
REMOVE = [
    *NO_TRIGGERS,
    *(
        f"DROP FUNCTION IF EXISTS chat_search_{name}()"
        for name in ("said", "replied", "changed", "gone")
    ),
    "DROP TABLE IF EXISTS chat_search",
]
FORGET = ["VACUUM chat_search"]


def found(term: Term) -> tuple[str, list[str]]:
    """The ids of messages with the term."""
    sql = "SELECT message_id FROM chat_search WHERE document @@ "
    words = term.text.translate(_AS_SPACES).split()
    if not term.is_prefix:
        return sql + "phraseto_tsquery('simple', %s)", [" ".join(words)]
    # In quotes nothing is an operator, and no quote is left in a word.
    query = " <-> ".join(f"'{word}'" for word in words)
    return sql + "to_tsquery('simple', %s)", [f"{query}:*"]
