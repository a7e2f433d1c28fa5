-- The index of all runs. Texts that many results share are stored once. index.py packs medians and spreads.
-- locks.built names commits and folders without their addresses, which may be private.
-- results.started is in microseconds since 1970.
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL, matrix TEXT NOT NULL,
    problem TEXT NOT NULL
);
CREATE TABLE parts (run INTEGER NOT NULL, part TEXT NOT NULL);
CREATE TABLE series (id INTEGER PRIMARY KEY, matrix TEXT, name TEXT, gpu TEXT, UNIQUE (matrix, name, gpu));
CREATE TABLE scenarios (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE cells (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE locks (id INTEGER PRIMARY KEY, versions TEXT, pins TEXT, built TEXT, UNIQUE (versions, pins, built));
CREATE TABLE outcomes (id INTEGER PRIMARY KEY, text TEXT UNIQUE);
CREATE TABLE signatures (id INTEGER PRIMARY KEY, name TEXT UNIQUE, failure TEXT);
CREATE TABLE figures (id INTEGER PRIMARY KEY, names TEXT UNIQUE);
CREATE TABLE results (
    run INTEGER NOT NULL, series INTEGER NOT NULL, scenario INTEGER NOT NULL, started INTEGER NOT NULL,
    cell INTEGER NOT NULL, lock INTEGER NOT NULL, outcomes INTEGER NOT NULL, signature INTEGER NOT NULL,
    figures INTEGER NOT NULL, medians BLOB NOT NULL, spreads BLOB
);
