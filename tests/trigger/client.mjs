// The unmodified client, set up for one scenario: only its `baseURL` is ours.
//
// argv[2]: {sdk: "4.8.3" | "4.5.16", scenario, url, secret, chatId, gate, task?}.
import { writeFileSync } from 'node:fs';
import { Chat as ReactChat } from '@ai-sdk/react';

export const given = JSON.parse(process.argv[2]);
export const { url, secret, chatId, gate, task = 'parrot' } = given;
export const name = { '4.8.3': '@trigger.dev/sdk', '4.5.16': 'trigger-early' }[given.sdk];
export const { AgentChat, TriggerChatTransport } = await import(`${name}/chat`);
export const { auth, configure, sessions } = await import(name);
configure({ baseURL: url, accessToken: secret });

export const requests = [];
/** `fetch` that keeps account; `cut` breaks the first so many streams after as many events each. */
export function makeFetch({ cut = [] } = {}) {
  const cuts = [...cut];
  return async (input, init) => {
    const path = new URL(input).pathname.replace(/.*\/(in\/append|out)$/, '$1');
    const response = await fetch(input, init);
    requests.push([path, response.status, new Headers(init?.headers).get('Last-Event-ID')]);
    return path === 'out' && response.ok && cuts.length ? cutAfter(response, cuts.shift()) : response;
  };
}

/** A response whose body fails after so many events, as on a lost connection. */
function cutAfter(response, events) {
  let rest = events;
  const body = response.body.pipeThrough(
    new TransformStream({
      transform(bytes, controller) {
        const text = Buffer.from(bytes).toString('latin1');
        const parts = text.split(/(?<=\n\n)/);
        for (const part of parts.slice(0, rest)) controller.enqueue(Buffer.from(part, 'latin1'));
        rest -= parts.length;
        if (rest <= 0) controller.error(new Error('cut'));
      },
    }),
  );
  return new Response(body, { status: response.status, headers: response.headers });
}

/** The chat behind `useChat`, without a page. */
export class Chat extends ReactChat {
  errors = [];

  constructor({ transport, messages = [] }) {
    super({ id: chatId, transport, messages, onError: error => this.errors.push(error.message) });
  }
}

export async function startSession() {
  const body = { type: 'chat.agent', externalId: chatId, taskIdentifier: task, triggerConfig: { basePayload: {} } };
  const headers = { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' };
  const answer = await fetch(`${url}/api/v1/sessions`, { method: 'POST', headers, body: JSON.stringify(body) });
  return { publicAccessToken: (await answer.json()).publicAccessToken };
}

/** When a token ends that is good for three seconds more: clocks of servers may differ by five. */
export const ending = () => Math.floor(Date.now() / 1000) - 2;

export const accessToken = async () => (await startSession()).publicAccessToken;

export function makeTransport(options = {}) {
  const headers = { 'X-AI-SDK': '7' };
  return new TriggerChatTransport({
    ...{ task, baseURL: url, accessToken, startSession, headers, fetch: makeFetch() },
    ...options,
  });
}

export const makeChat = (options = {}) => new Chat({ transport: makeTransport(options) });
export const textOf = message => message.parts.filter(part => part.type === 'text').map(part => part.text).join('');
export const texts = chat => chat.messages.map(textOf);
export const open = () => writeFileSync(gate, '');

export async function until(condition, what) {
  const end = Date.now() + 50_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

// Releases before 4.6 take the end of a stopped turn for that of the next one, if it comes late: they are given time.
export async function rest() {
  if (given.sdk !== '4.5.16') return;
  const session = `${url}/api/v1/sessions/${encodeURIComponent(chatId)}`;
  for (let standing = ''; standing !== 'idle'; ) {
    const response = await fetch(session, { headers: { Authorization: `Bearer ${secret}` } });
    standing = (await response.json()).status;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
