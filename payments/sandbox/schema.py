"""The sandbox's tables, and the statements that name all their columns.

A database of an earlier version must still open: tables may be added here, but not changed.
"""

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
    next_attempt_at REAL,  -- NULL: delivered; else given up, dropped or held back
    delivered_at REAL
);
-- Read by the sender.
CREATE INDEX IF NOT EXISTS events_due ON events (next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;

-- Only of events that are told otherwise than once and in their turn.
CREATE TABLE IF NOT EXISTS event_plans (
    event_id TEXT PRIMARY KEY REFERENCES events (id),
    copies INTEGER NOT NULL CHECK (copies >= 1),
    is_held INTEGER NOT NULL CHECK (is_held IN (0, 1))
);
CREATE INDEX IF NOT EXISTS event_plans_held ON event_plans (event_id) WHERE is_held;

CREATE TABLE IF NOT EXISTS refunds (
    id TEXT PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL,
    payment_id TEXT NOT NULL REFERENCES payments (id),
    reference TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    status TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    created_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS refunds_by_payment ON refunds (payment_id);
CREATE INDEX IF NOT EXISTS refunds_pending ON refunds (created_at) WHERE status = 'pending';
-- Never more is paid back than was captured, whatever the code above does. After, not before:
-- a repeat that inserts nothing must not be refused.
CREATE TRIGGER IF NOT EXISTS refunds_within_payment AFTER INSERT ON refunds
WHEN (SELECT sum(amount) FROM refunds WHERE payment_id = NEW.payment_id AND status <> 'failed')
    > coalesce((
        SELECT s.amount FROM payments p JOIN sessions s ON s.id = p.session_id
        WHERE p.id = NEW.payment_id AND p.status = 'succeeded'
    ), 0)
BEGIN
    SELECT RAISE(ABORT, 'more than was captured');
END;
-- So nothing of a refund changes later but that a pending one is settled.
CREATE TRIGGER IF NOT EXISTS refunds_settled_once BEFORE UPDATE ON refunds
WHEN OLD.status <> 'pending' OR NEW.amount <> OLD.amount OR NEW.payment_id <> OLD.payment_id
BEGIN
    SELECT RAISE(ABORT, 'a refund is settled once');
END;

-- At most one row: the fields of `behaviour.Behaviour` as JSON.
CREATE TABLE IF NOT EXISTS behaviour (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    fields TEXT NOT NULL
);
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
           AS was_declined,
       (SELECT coalesce(sum(r.amount), 0) FROM refunds r
        WHERE r.payment_id = p.id AND r.status = 'succeeded') AS refunded
FROM sessions s LEFT JOIN payments p ON p.session_id = s.id AND p.status = 'succeeded'
WHERE s.id = ?
"""

PAYMENT_QUERY = """
SELECT p.id, session_id, s.reference, s.amount, currency, p.status, p.created_at,
       (SELECT coalesce(sum(r.amount), 0) FROM refunds r
        WHERE r.payment_id = p.id AND r.status = 'succeeded') AS refunded
FROM payments p JOIN sessions s ON s.id = session_id
"""

INSERT_REFUND = """
INSERT INTO refunds (
    id, idempotency_key, fingerprint, payment_id, reference, amount, status, created_at
) VALUES (
    :id, :idempotency_key, :fingerprint, :payment_id, :reference, :amount, :status, :created_at
) ON CONFLICT (idempotency_key) DO NOTHING
"""

REFUND_QUERY = """
SELECT r.id, payment_id, session_id, r.reference, r.amount, currency, r.status, r.created_at
FROM refunds r JOIN payments p ON p.id = payment_id JOIN sessions s ON s.id = session_id
"""

EVENT_QUERY = """
SELECT e.id, webhook_url AS url, body, attempts, e.created_at, coalesce(copies, 1) AS copies
FROM events e JOIN sessions s ON s.id = session_id LEFT JOIN event_plans ON event_id = e.id
"""
