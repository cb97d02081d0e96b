// Every place at which a connection may break: one client per place, all of them in this process.
import { Chat as ReactChat } from '@ai-sdk/react';
import { AgentChat, chatId, given, makeTransport, secret, task, url } from './client.mjs';

/** Chats at a time. */
const WIDTH = 30;

/** `fetch` whose first stream breaks after so many records; `seen` tells how many came before and after. */
function makeBreaking(at, seen) {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (!new URL(input).pathname.endsWith('/out') || !response.ok) return response;
    const first = seen.connections++ === 0;
    return new Response(response.body.pipeThrough(breakAfter(first ? at : Infinity, seen)), {
      status: response.status, headers: response.headers,
    });
  };
}

/** Counts the records of a stream and breaks it, in the middle of a batch if need be. */
function breakAfter(most, seen) {
  let text = '';
  let count = 0;
  let broken = false;
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  return new TransformStream({
    transform(bytes, controller) {
      if (broken) return;
      text += decoder.decode(bytes, { stream: true });
      for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
        let event = text.slice(0, end + 2);
        const batch = event.match(/^event: batch\ndata: (.*)\n\n$/)?.[1];
        if (batch !== undefined) {
          const records = JSON.parse(batch).records.slice(0, most - count);
          count += records.length;
          seen.records += records.length;
          event = `event: batch\ndata: ${JSON.stringify({ records })}\n\n`;
        }
        controller.enqueue(encoder.encode(event));
        if (count >= most) {
          seen.cut = true;
          // What was sent is read first: an error at once would take it away.
          setTimeout(() => controller.error(new TypeError('terminated')), 20);
          broken = true;
          return;
        }
      }
    },
  });
}

async function inPage(id, fetch, sent) {
  const session = { [id]: { publicAccessToken: secret } };
  const transport = makeTransport({ fetch, sessions: session, accessToken: () => secret, startSession: undefined });
  const errors = [];
  const chat = new ReactChat({ id, transport, onError: error => errors.push(error.message) });
  await chat.sendMessage({ text: sent });
  return { message: chat.messages[1], errors };
}

async function onServer(id, fetch, sent) {
  const chat = new AgentChat({ agent: task, id, baseURL: url, fetch });
  let message;
  for await (const each of (await chat.sendMessage(sent)).messages()) message = each;
  return { message, errors: [] };
}

async function tryOne(talk, id, at) {
  const seen = { connections: 0, records: 0, cut: false };
  const told = await talk(id, makeBreaking(at, seen), 'go');
  return { id, at, ...seen, ...told };
}

export const scenarios = {
  async cuts() {
    const headers = { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' };
    const ways = { page: inPage, server: onServer };
    const work = Object.entries(ways).flatMap(([way, talk]) =>
      Array.from({ length: given.records + 1 }, (_, at) => ({ way, talk, at, id: `${chatId}-${way}-${at}` })),
    );
    const results = [];
    const next = async () => {
      for (let one; (one = work.shift()); ) {
        const body = { type: 'chat.agent', externalId: one.id, taskIdentifier: task, triggerConfig: { basePayload: {} } };
        await fetch(`${url}/api/v1/sessions`, { method: 'POST', headers, body: JSON.stringify(body) });
        results.push({ way: one.way, ...(await tryOne(one.talk, one.id, one.at)) });
      }
    };
    await Promise.all(Array.from({ length: WIDTH }, next));
    return results;
  },
};
