"""The WebSocket door: many chats on one socket."""
