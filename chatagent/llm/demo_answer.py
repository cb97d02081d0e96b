"""What the demo model knows by heart: answers in markdown, by the words of the question."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent


@dataclass(frozen=True, slots=True)
class Known:
    """An answer, and the words (lower case, singular) that call for it."""

    words: frozenset[str]
    text: str


def _known(words: str, text: str) -> Known:
    return Known(frozenset(words.split()), dedent(text).strip())


#: The answer with most words in the question wins, the first one of equals.
ANSWERS = [
    _known(
        "hello hi hey hallo morning evening",
        """
        Hello! I am the **demo model** of chatagent. I need no account and no key, and I know a little about
        the software that you are looking at. Ask me, for example:

        - What is chatagent?
        - What happens when a worker crashes?
        - How do I write an agent?
        - How do I use a real model?
        """,
    ),
    _known(
        "what who chatagent about you",
        """
        **chatagent** runs durable AI chat agents on what a Python team already has: *Celery*, *Redis* and
        *Flask*.

        1. The gateway takes your message and turns it into a Celery task.
        2. A worker runs the agent and streams its answer, chunk by chunk, through Redis.
        3. Every browser that watches the chat gets the same chunks, live.

        The chat survives reloads, crashes, deploys and idle days.
        """,
    ),
    _known(
        "crash crashe kill die dies durable reload lose lost survive resume restart deploy happen",
        """
        Nothing is lost:

        - **You reload the page.** The answer is in a log in Redis; the browser reads it from the start and
          then goes on live.
        - **A worker dies.** Its lease runs out within seconds. Another worker keeps the completed steps and
          redoes only the broken one, so finished tool calls do not run twice.
        - **You deploy.** Running answers are handed over.

        Try it: ask me for a long story and reload this page while I am talking.
        """,
    ),
    _known(
        "write code agent example python build create make",
        '''
        An agent is a function:

        ```python
        from chatagent import chat, stream_text, tool

        @tool
        async def get_weather(city: str) -> dict[str, str]:
            """The weather in a city."""
            return {"city": city, "sky": "clear"}

        @chat.agent("helper", tools=[get_weather])
        async def helper(turn: chat.Turn):
            return stream_text("demo/assistant", turn.messages)
        ```

        Save it as `agents.py` and run `chatagent dev agents.py`.
        ''',
    ),
    _known(
        "tool function call approve approval",
        """
        A tool is a function with `@tool` on it. The schema comes from its type hints, the description from
        its docstring.

        - Several calls run **side by side**.
        - `needs_approval=True` asks the user first.
        - `@client_tool` lets the browser answer.

        Ask me about the weather or the time, if there is a tool for it.
        """,
    ),
    _known(
        "model openai anthropic claude gpt key account real provider litellm",
        """
        I am only a demo. For a real model, name any one that **litellm** knows and set its key:

        ```sh
        export OPENAI_API_KEY=…
        export CHATAGENT_MODEL=openai/gpt-4o
        ```

        The code stays as it is.
        """,
    ),
    _known(
        "stop cancel abort interrupt",
        """
        Press **Stop** at any time, also after a reload or in another tab. The call to the model is really
        closed, what was written stays, and your next message is answered as usual.
        """,
    ),
    _known(
        "celery redis flask queue worker scale performance",
        """
        - **Redis** holds the truth: two logs per chat (what came in, what went out), the history and a lease.
        - **Celery** wakes a worker; its task carries a session id and nothing else.
        - **Flask** is the gateway: WebSocket, SSE and a small HTTP API over the same log.

        One worker process holds hundreds of answers at once, because a turn only waits on an event loop.
        """,
    ),
    _known(
        "story tale long essay poem",
        """
        **The answer that would not end**

        Once upon a time somebody asked a question and closed the browser at once. The answer was written
        all the same, word by word, into a log that nobody was reading.

        In the middle of its best sentence the worker that wrote it died. For a few seconds there was
        silence. Then another worker found the sentence, crossed it out, and wrote it again to the end.

        Soon three people were reading along: one on a laptop, one on a phone, one in a tunnel, who read in
        bursts. The server between them and the log was replaced while they read. They noticed nothing,
        which was the point.

        Somebody pressed Stop. The answer stopped, and what had been written stayed. Somebody asked it to
        go on. It went on.

        Days later, on a train, the first one opened the page again. The conversation was still there, in
        order, with nothing missing and nothing said twice, and it was waiting for the next question.
        """,
    ),
    _known("thank bye goodbye", "You are welcome! The chat stays here; come back whenever you like."),
]

#: The answer to everything else.
FALLBACK = dedent(
    """
    You said: “{question}”

    I am the demo model of chatagent and know only a few things by heart. Ask me what chatagent is, what
    happens when a worker crashes, how to write an agent, or how to use a real model.
    """
).strip()

#: What `demo/thinker` thinks first.
THOUGHTS = (
    "The user wrote “{question}”. Is there a tool that fits? If not, one of the things that I know by heart "
    "has to do. I keep it short and friendly."
)
