//! `ringbridge probe`: a phone and a WebRTC client against a running server, end to end.
