// Head start: the app's own server makes the first step of a chat, with a model of its own, and hands over.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { jsonSchema, simulateReadableStream, streamText, tool } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import {
  Chat, accessToken, chatId, gate, makeTransport, name, open, requests, startSession, task, texts, until,
} from './client.mjs';

const { chat: server } = await import(`${name}/chat-server`);
const tools = {
  wait_for: tool({
    description: 'Wait until a file exists.',
    inputSchema: jsonSchema({ type: 'object', properties: { path: { type: 'string' } } }),
  }),
};
const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } };

/** A model that says `text`, and then makes `calls`. */
function makeModel(text, calls = []) {
  const unified = calls.length ? 'tool-calls' : 'stop';
  const chunks = [
    { type: 'stream-start', warnings: [] },
    { type: 'reasoning-start', id: 'r' },
    { type: 'reasoning-delta', id: 'r', delta: 'hm' },
    { type: 'reasoning-end', id: 'r', providerMetadata: { some: { signature: 'x' } } },
    { type: 'text-start', id: '0' },
    ...text.split(/(?= )/).map(delta => ({ type: 'text-delta', id: '0', delta })),
    { type: 'text-end', id: '0' },
    ...calls.map(([toolName, input], at) => ({ type: 'tool-call', toolCallId: `c${at}`, toolName, input: JSON.stringify(input) })),
    { type: 'finish', finishReason: { unified, raw: unified }, usage },
  ];
  return new MockLanguageModelV4({ doStream: async () => ({ stream: simulateReadableStream({ chunks }) }) });
}

/** What an app writes: the first step, with the options of the package. */
const firstStep = model => async ({ chat }) => streamText({ ...chat.toStreamTextOptions({ tools }), model });

/** A page whose first message goes to a route of the app. */
async function makePage(model) {
  const handler = server.headStart({ agentId: task, run: firstStep(model) });
  const route = createServer(server.toNodeListener(handler)).listen(0, '127.0.0.1');
  await once(route, 'listening');
  const transport = makeTransport({ headStart: `http://127.0.0.1:${route.address().port}/api/chat`, clientData: { who: 'ann' } });
  return { chat: new Chat({ transport }), transport };
}

export const scenarios = {
  async headStart() {
    const { chat, transport } = await makePage(makeModel('from here'));
    await chat.sendMessage({ text: 'one' });
    const { lastEventId } = transport.getSession(chatId);
    const before = requests.length;
    await chat.sendMessage({ text: 'two' });
    return { messages: chat.messages, errors: chat.errors, before, cursor: lastEventId !== undefined };
  },

  async headStartCalls() {
    const { chat } = await makePage(makeModel('let me wait', [['wait_for', { path: gate }]]));
    const sent = chat.sendMessage({ text: `call wait_for {"path": "${gate}"}` });
    await until(() => requests.length === 0 && texts(chat).at(-1) === 'let me wait', 'the first step');
    open();
    await sent;
    await chat.sendMessage({ text: 'two' });
    return { messages: chat.messages, errors: chat.errors };
  },

  async headStartDetached() {
    // The message is sent by one page, the answer is shown by another one.
    const message = { id: 'u1', role: 'user', parts: [{ type: 'text', text: `call wait_for {"path": "${gate}"}` }] };
    const { completion } = await server.startHeadStart({
      agentId: task, chatId, messages: [message],
      run: firstStep(makeModel('let me wait', [['wait_for', { path: gate }]])),
    });
    await completion;
    const session = { publicAccessToken: await accessToken(), isStreaming: true };
    const chat = new Chat({ transport: makeTransport({ sessions: { [chatId]: session } }), messages: [message] });
    const resumed = chat.resumeStream();
    await until(() => texts(chat).at(-1) === 'let me wait', 'the first step');
    open();
    await resumed;
    return { messages: chat.messages, errors: chat.errors };
  },

  async headStartRefused() {
    const { chat } = await makePage(makeModel('from here'));
    await chat.sendMessage({ text: 'one' });
    return { errors: chat.errors, texts: texts(chat) };
  },

  async headStartSkipped() {
    const failing = new MockLanguageModelV4({ doStream: async () => { throw new Error('no model'); } });
    const { chat } = await makePage(failing);
    await chat.sendMessage({ text: 'one' });
    await startSession();
    await chat.sendMessage({ text: 'two' });
    return { texts: texts(chat).slice(-2), errors: chat.errors.length };
  },
};
