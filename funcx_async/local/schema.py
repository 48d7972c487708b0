"""The tables that the store keeps."""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x66784C73
"""Marks a file as a local service's: "fxLs"."""
SCHEMA_VERSION: Final = 4
SCHEMA: Final = """
CREATE TABLE functions (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, code TEXT NOT NULL, description TEXT,
    metadata TEXT NOT NULL, deleted INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE endpoints (id TEXT PRIMARY KEY, name TEXT NOT NULL, registration TEXT);
CREATE TABLE user_endpoints (
    id TEXT PRIMARY KEY, endpoint_id TEXT NOT NULL, options TEXT NOT NULL,
    runtime TEXT NOT NULL DEFAULT '{}', session TEXT, UNIQUE (endpoint_id, options)
);
CREATE TABLE whitelists (
    endpoint_id TEXT NOT NULL, function_id TEXT NOT NULL, UNIQUE (endpoint_id, function_id)
);
CREATE TABLE containers (id TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE task_groups (id TEXT PRIMARY KEY, queued INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, group_id TEXT NOT NULL,
    function_id TEXT NOT NULL, endpoint_id TEXT NOT NULL, payload TEXT, serializers TEXT NOT NULL,
    classic INTEGER NOT NULL, created_at REAL NOT NULL, settled_at REAL, failed INTEGER,
    message BLOB, handed_out INTEGER NOT NULL DEFAULT 0,
    resources TEXT NOT NULL DEFAULT '', options TEXT NOT NULL DEFAULT '{}',
    sent INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX tasks_of_a_group ON tasks (group_id);
CREATE INDEX settled_tasks ON tasks (settled_at) WHERE settled_at IS NOT NULL;
"""
