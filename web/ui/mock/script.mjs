// What the mock's agents say. A message that contains one of these words gets the matching answer:
// approve · error · toolfail · short · long; anything else gets the full show.

export const AGENTS = [
  {
    id: 'support',
    description: 'Answers questions about the product and looks things up in the docs.',
    model: 'demo/echo',
    online: true,
    examples: [
      'How do I mount this into my Flask app?',
      'What happens when a worker dies in mid-answer?',
      'Compare Redis Streams and Lists',
      'approve a refund of 40 €',
    ],
  },
  {
    id: 'analyst',
    description: 'Reads tables and writes SQL.',
    model: 'openai/gpt-4o',
    online: true,
    examples: ['Top ten customers this quarter'],
  },
  { id: 'night-owl', description: 'Only there at night.', online: false },
];

const MARKDOWN = `You mount it with **one call**. The gateway takes your Flask app and adds its routes under a prefix of your choice:

\`\`\`python
from flask import Flask
from chatagent.flask import mount

app = Flask(__name__)
mount(app, url_prefix="/chat")  # pages, API and WebSocket

@app.get("/")
def home() -> str:
    return "Everything else stays yours."
\`\`\`

Three things to know:

1. The **worker** is a separate process; it finds your agents by name.
2. A closed tab is *never* a stop. Only the stop button is.
3. State lives in Redis, so \`kill -9\` costs you seconds, not chats.

| Part | Process | Talks to |
|---|---|---|
| Gateway | gunicorn + gevent | browsers, Redis |
| Worker | Celery | Redis, the model |
| Sweeper | every worker | Redis |

> Tip: the playground you are looking at is mounted the same way.

See the [guide](https://example.com/guide) for identity and tokens.`;

const THOUGHT =
  'The person wants to mount the gateway into an app that exists already. The docs have a page on that; I will look it up rather than answer from memory, then show the shortest code that works.';

const words = (text) => text.match(/\s*\S+|\s+$/g);

function* spoken(kind, id, text) {
  yield [{ type: `${kind}-start`, id }];
  for (const delta of words(text)) yield [{ type: `${kind}-delta`, id, delta }];
  yield [{ type: `${kind}-end`, id }];
}

function* tool(id, toolName, input) {
  const json = JSON.stringify(input);
  yield [{ type: 'tool-input-start', toolCallId: id, toolName }];
  for (let at = 0; at < json.length; at += 6)
    yield [{ type: 'tool-input-delta', toolCallId: id, inputTextDelta: json.slice(at, at + 6) }];
  yield [{ type: 'tool-input-available', toolCallId: id, toolName, input }];
}

function* step(...pieces) {
  yield [{ type: 'start-step' }];
  for (const piece of pieces) yield* piece;
  yield [{ type: 'finish-step' }];
}

const end = (finishReason) => [[{ type: 'finish', finishReason }]];
const id = () => Math.random().toString(36).slice(2, 10);

/** The chunks of an answer, each with the ticks to wait before it. */
export function* answer(message) {
  const text = message.parts.map((part) => part.text ?? '').join('');
  const approval = message.parts.findLast((part) => part.approval)?.approval;
  const call = message.parts.findLast((part) => part.toolCallId)?.toolCallId ?? id();
  if (message.role === 'assistant' && approval) {
    yield approval.approved
      ? [{ type: 'tool-output-available', toolCallId: call, output: { refunded: true, amount: 40 } }, 20]
      : [{ type: 'tool-output-denied', toolCallId: call }, 4];
    yield* step(
      spoken(
        'text',
        id(),
        approval.approved ? 'Done: 40 € are on their way back.' : 'All right, I left it alone.',
      ),
    );
  } else if (text.includes('approve')) {
    yield* step(
      spoken('text', id(), 'I can refund that. Please confirm:'),
      tool(call, 'refund_payment', { order: 'A-1029', amount: 40, currency: 'EUR' }),
      [[{ type: 'tool-approval-request', approvalId: id(), toolCallId: call }]],
    );
    return yield* end('tool-calls');
  } else if (text.includes('toolfail')) {
    yield* step(tool(call, 'search_docs', { query: 'mount', limit: 5 }), [
      [
        {
          type: 'tool-output-error',
          toolCallId: call,
          errorText: 'TimeoutError: the search took longer than 10 s',
        },
        20,
      ],
    ]);
    yield* step(
      spoken('text', id(), 'The search is not answering, so this is from memory: call `mount(app)`.'),
    );
  } else if (text.includes('error')) {
    const part = id();
    yield [{ type: 'start-step' }];
    yield* [...spoken('text', part, 'I was about to say')].slice(0, -1);
    yield [{ type: 'text-end', id: part }];
    return yield [{ type: 'error', errorText: 'The model provider did not answer in time.' }, 20];
  } else if (text.includes('short')) {
    yield* step(spoken('text', id(), 'Short and sweet.'));
  } else if (text.includes('long')) {
    yield* step(
      spoken(
        'text',
        id(),
        Array.from({ length: 12 }, (_, n) => `## Part ${n + 1}\n\n${MARKDOWN}`).join('\n\n'),
      ),
    );
  } else {
    yield* step(
      spoken('reasoning', id(), THOUGHT),
      tool(call, 'search_docs', { query: 'mount flask app', limit: 5 }),
      [
        [
          {
            type: 'tool-output-available',
            toolCallId: call,
            output: [
              { title: 'Mounting into Flask', score: 0.93, path: 'docs/guide/mount.md' },
              { title: 'Identity', score: 0.71, path: 'docs/guide/identity.md' },
            ],
          },
          40,
        ],
      ],
    );
    yield* step(
      [[{ type: 'data-progress', id: 'p1', data: { pages: 2, took_ms: 412 } }]],
      spoken('text', id(), MARKDOWN),
      [
        [
          {
            type: 'source-url',
            sourceId: 's1',
            url: 'https://example.com/guide/mount',
            title: 'Mounting into Flask',
          },
        ],
        [
          {
            type: 'source-url',
            sourceId: 's2',
            url: 'https://example.com/guide/identity',
            title: 'Identity and tokens',
          },
        ],
      ],
    );
  }
  yield* end('stop');
}

const said = (role, text) => ({
  id: id(),
  role,
  parts: [{ type: 'text', text, ...(role === 'assistant' ? { state: 'done' } : {}) }],
});

/** Chats of the last weeks, for the side list. */
export function past() {
  const hour = 3_600_000;
  const titles = [
    ['Reset a forgotten password', 2],
    ['Why is my queue growing?', 5],
    ['Draft a release note for 2.4', 26],
    ['Redis eviction policy, and what noeviction means for us', 31],
    ['Invoice A-1029', 70],
    ['Onboarding checklist', 130],
    ['Ideas for the offsite', 800],
  ];
  return titles.map(([title, hours], index) => {
    const at = new Date(Date.now() - hours * hour).toISOString();
    return {
      id: `session_p${index}`,
      externalId: `past-${index}`,
      taskIdentifier: index % 3 === 1 ? 'analyst' : 'support',
      status: 'idle',
      title,
      createdAt: at,
      updatedAt: at,
      messages: [said('user', title), said('assistant', 'That is settled. Anything else?')],
    };
  });
}
