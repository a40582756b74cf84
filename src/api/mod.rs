//! HTTP: the REST API, the signalling WebSocket, health, and the admin listener.
