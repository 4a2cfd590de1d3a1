"""The sandbox's tables, and the statements that name all their columns."""

from __future__ import annotations

# WAL with synchronous=NORMAL keeps every commit when the process dies; only a power cut can
# undo the last ones, and this is a sandbox.
SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA busy_timeout = 5000;

CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    reference TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    description TEXT NOT NULL,
    success_url TEXT NOT NULL,
    cancel_url TEXT NOT NULL,
    webhook_url TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'paid', 'expired')),
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_by_reference ON sessions (reference);
-- Read at the start of every transaction, to expire what is late.
CREATE INDEX IF NOT EXISTS sessions_open ON sessions (expires_at) WHERE status = 'open';

CREATE TABLE IF NOT EXISTS payments (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id),
    status TEXT NOT NULL CHECK (status IN ('succeeded', 'failed')),
    created_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS payments_by_session ON payments (session_id);
-- Money moves once for a session, whatever the code above does.
CREATE UNIQUE INDEX IF NOT EXISTS payments_once ON payments (session_id)
    WHERE status = 'succeeded';

CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id),
    body BLOB NOT NULL,
    created_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at REAL,  -- NULL: delivered, or given up if delivered_at is NULL too
    delivered_at REAL
);
-- Read by the sender.
CREATE INDEX IF NOT EXISTS events_due ON events (next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;
"""

INSERT_SESSION = """
INSERT INTO sessions (
    id, idempotency_key, fingerprint, reference, amount, currency, description,
    success_url, cancel_url, webhook_url, created_at, expires_at
) VALUES (
    :id, :idempotency_key, :fingerprint, :reference, :amount, :currency, :description,
    :success_url, :cancel_url, :webhook_url, :created_at, :expires_at
) ON CONFLICT (idempotency_key) DO NOTHING
"""

SESSION_QUERY = """
SELECT s.id, reference, amount, currency, description, success_url, cancel_url, s.status,
       expires_at, p.id AS payment_id, p.created_at AS paid_at,
       EXISTS (SELECT 1 FROM payments f WHERE f.session_id = s.id AND f.status = 'failed')
           AS was_declined
FROM sessions s LEFT JOIN payments p ON p.session_id = s.id AND p.status = 'succeeded'
WHERE s.id = ?
"""
