"""The tables of the component store and the statements that write them: each write compares the version that it was read at."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS store (identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS component (
  environment TEXT, id TEXT, configuration TEXT, layers TEXT, enabled INT, retry_policy INT, error_count INT, epoch INT,
  state TEXT, declared INT, known INT, version INT, settled INT, PRIMARY KEY (environment, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS component_unsettled ON component (environment) WHERE declared AND NOT settled;
CREATE INDEX IF NOT EXISTS component_settled ON component (environment, configuration) WHERE declared AND settled;
CREATE TABLE IF NOT EXISTS session (
  environment TEXT, name TEXT, configuration TEXT, key TEXT, attempt INT, live INT, created TEXT, completed TEXT, succeeded TEXT,
  record TEXT, version INT, PRIMARY KEY (environment, name));
CREATE INDEX IF NOT EXISTS session_live ON session (environment) WHERE live;
CREATE INDEX IF NOT EXISTS session_key ON session (environment, key);
CREATE INDEX IF NOT EXISTS session_recent ON session (environment, configuration, created);
CREATE TABLE IF NOT EXISTS member (environment TEXT, id TEXT, session TEXT, PRIMARY KEY (environment, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS configuration (environment TEXT, name TEXT, record TEXT, PRIMARY KEY (environment, name));
"""
COMPONENT = "id, configuration, layers, enabled, retry_policy, error_count, epoch, state, declared, known, version"
PUT_COMPONENT = """
INSERT INTO component VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (environment, id) DO UPDATE SET
  configuration = excluded.configuration, layers = excluded.layers, enabled = excluded.enabled, retry_policy = excluded.retry_policy,
  error_count = excluded.error_count, epoch = excluded.epoch, state = excluded.state, declared = excluded.declared,
  known = excluded.known, version = excluded.version, settled = excluded.settled
WHERE component.version = excluded.version - 1
"""
PUT_SESSION = """
UPDATE session SET live = ?, completed = ?, succeeded = ?, record = ?, version = ? WHERE environment = ? AND name = ? AND version = ?
"""
