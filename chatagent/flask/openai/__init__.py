"""The door for OpenAI's clients: an agent is a model. Models, chat completions, responses, conversations."""

from chatagent.flask.openai.door import register

__all__ = ["register"]
