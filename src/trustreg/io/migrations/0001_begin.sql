-- Every version of every role of every collection. The bytes stand last: nothing else has to be read past them.
CREATE TABLE file (
    gun TEXT NOT NULL,
    role TEXT NOT NULL,
    version INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    created INTEGER NOT NULL,  -- microseconds since 1970, as all times here
    renew INTEGER,
    raw BLOB NOT NULL,
    PRIMARY KEY (gun, role, version)
);
CREATE INDEX file_sha256 ON file (gun, role, sha256);

-- Which of them a collection consists of: what its snapshot lists, the snapshot, the timestamp.
CREATE TABLE current (
    gun TEXT NOT NULL,
    role TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (gun, role)
) WITHOUT ROWID;

-- The server's own keys. A key that has not signed yet waits to be listed by a root; there is one at most.
CREATE TABLE key (
    id INTEGER PRIMARY KEY,
    gun TEXT NOT NULL,
    role TEXT NOT NULL,
    public BLOB NOT NULL,
    sealed BLOB NOT NULL,
    used INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX key_gun ON key (gun);
CREATE UNIQUE INDEX key_unused ON key (gun, role) WHERE used = 0;

-- What happened, in order. The newest id of a collection names its state.
CREATE TABLE change (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created INTEGER NOT NULL,
    gun TEXT NOT NULL,
    version INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    category TEXT NOT NULL
);
CREATE INDEX change_gun ON change (gun, id);

-- The key that private keys are sealed with, itself sealed with one made from the passphrase.
CREATE TABLE vault (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    salt BLOB NOT NULL,
    n INTEGER NOT NULL,
    r INTEGER NOT NULL,
    p INTEGER NOT NULL,
    sealed BLOB NOT NULL
);
