//! Builds everything without serving; announces addresses; serves; drains.
