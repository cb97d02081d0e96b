"""The sessions door: chats over HTTP for servers, curl and the published Trigger.dev client."""
