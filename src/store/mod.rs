//! What outlives the process: SQLite behind one thread and a bounded channel.
