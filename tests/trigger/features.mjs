// What more a chat can do: actions, steering, tools of the page, approvals, preloads, both doors at once.
import { Chat as ReactChat, useChat } from '@ai-sdk/react';
import { DefaultChatTransport } from 'ai';
import { writeFileSync } from 'node:fs';
import { createElement, useEffect } from 'react';
import { create } from 'react-test-renderer';
import {
  AgentChat, Chat, accessToken, auth, chatId, gate, given, makeChat, makeTransport, name, open, requests, secret, sessions,
  startSession, task, textOf, texts, until, url,
} from './client.mjs';

const { chat: agentHelpers } = await import(`${name}/ai`);
const { usePendingMessages } = await import(`${name}/chat/react`);
globalThis.IS_REACT_ACT_ENVIRONMENT = false;

const bearer = token => ({ Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' });
const status = async (path, token, init = {}) => {
  const stop = new AbortController();
  const answer = await fetch(`${url}${path}`, { ...init, headers: { ...bearer(token), ...init.headers }, signal: stop.signal });
  stop.abort();
  return answer.status;
};

async function readAll(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

export const scenarios = {
  async action() {
    const transport = makeTransport();
    const chat = new Chat({ transport });
    await chat.sendMessage({ text: 'one' });
    await chat.sendMessage({ text: 'two' });
    const undone = await readAll(await transport.sendAction(chatId, { type: 'undo' }));
    const asked = await readAll(await transport.sendAction(chatId, { type: 'ask', text: 'three' }));
    return { undone: undone.length, asked: asked.filter(each => each.type === 'text-delta').map(each => each.delta) };
  },

  async race() {
    const transport = makeTransport();
    const chat = new Chat({ transport });
    await chat.sendMessage({ text: 'one' });
    const acted = transport.sendAction(chatId, { type: 'undo' });
    await chat.sendMessage({ text: 'two' });
    await readAll(await acted);
    return { last: textOf(chat.messages.at(-1)), errors: chat.errors };
  },

  async pending() {
    const transport = makeTransport();
    let latest;
    function Page() {
      const chat = useChat({ id: chatId, transport });
      const pending = usePendingMessages({ transport, chatId, ...chat });
      useEffect(() => void (latest = { chat, pending }));
      return null;
    }
    const root = create(createElement(Page));
    await until(() => latest !== undefined, 'the page');
    latest.chat.sendMessage({ text: `call wait_for {"path": "${gate}"}` });
    const called = () => latest.chat.messages.at(-1)?.parts.some(part => part.type === 'tool-wait_for');
    await until(() => called() && latest.chat.status === 'streaming', 'the tool call');
    // What was steered is called too, so that the hook sees it in an answer that goes on: one that ends with the marker
    // in the same rendering makes it send the message again.
    const more = `call wait_for {"path": "${gate}-2"}`;
    latest.pending.steer(more);
    await until(() => latest.pending.pending.length === 1, `the pending message (${latest.chat.status})`);
    const shown = latest.pending.pending.map(each => [each.text, each.mode]);
    await until(() => requests.filter(([path]) => path === 'in/append').length === 2, 'the steering message to be sent');
    open();
    await until(() => latest.pending.pending.length === 0, 'the steered message in the answer');
    writeFileSync(`${gate}-2`, '');
    await until(() => latest.chat.status === 'ready', 'the end');
    const answer = latest.chat.messages.at(-1);
    const points = answer.parts.filter(part => latest.pending.isInjectionPoint(part));
    const injected = points.flatMap(part => latest.pending.getInjectedMessages(part).map(each => each.text));
    const left = latest.pending.pending.length;
    root.unmount();
    return { more, shown, injected, left, kinds: answer.parts.map(part => part.type), text: textOf(answer), count: latest.chat.messages.length };
  },

  async tools() {
    const chat = makeChat();
    await chat.sendMessage({ text: 'call ask_place {}' });
    const part = chat.messages.at(-1).parts.find(each => each.type === 'tool-ask_place');
    await chat.addToolOutput({ tool: 'ask_place', toolCallId: part.toolCallId, output: 'Paris' });
    await chat.sendMessage();
    return { before: part.state, messages: chat.messages, errors: chat.errors };
  },

  async preload() {
    const made = await sessions.start({
      type: 'chat.agent', externalId: chatId, taskIdentifier: task,
      triggerConfig: { basePayload: { trigger: 'preload', chatId, metadata: { who: 'ann' } } },
    });
    const token = made.publicAccessToken;
    const chat = makeChat({ sessions: { [chatId]: { publicAccessToken: token } } });
    await chat.sendMessage({ text: 'preloaded?' });
    await chat.sendMessage({ text: 'two' });
    return { texts: texts(chat), errors: chat.errors };
  },

  async startAction() {
    const start = agentHelpers.createStartSessionAction(task, { tokenTTL: '10m' });
    const { publicAccessToken } = await start({ chatId, clientData: { who: 'ann' } });
    const chat = makeChat({ startSession: () => start({ chatId }), accessToken: undefined });
    await chat.sendMessage({ text: 'one' });
    return { opened: await status(`/api/v1/sessions/${encodeURIComponent(chatId)}`, publicAccessToken), texts: texts(chat), errors: chat.errors };
  },

  async bothDoors() {
    const headers = { Authorization: `Bearer ${await accessToken()}` };
    const stock = new ReactChat({
      id: chatId,
      transport: new DefaultChatTransport({ api: `${url}/api/chat?ai=7`, headers }),
      generateId: () => `s-${Math.random()}`,
    });
    const transport = makeTransport({ watch: true, sessions: { [chatId]: { publicAccessToken: await accessToken() } } });
    const watched = (await transport.reconnectToStream({ chatId })).getReader();
    await stock.sendMessage({ text: 'from stock' });
    let seen = '';
    for (let chunk; chunk?.type !== 'finish'; seen += chunk.type === 'text-delta' ? chunk.delta : '') chunk = (await watched.read()).value;
    const trigger = makeChat();
    await trigger.sendMessage({ text: 'from trigger' });
    await stock.sendMessage({ text: 'again' });
    return { seen, stock: texts(stock), trigger: texts(trigger), errors: trigger.errors };
  },

  async queued() {
    // The last answer waits for a file too: its reader is there before it ends, and so always sees the one before it.
    const transport = makeTransport();
    const chat = new Chat({ transport });
    const shown = count => chat.messages.length >= count && textOf(chat.messages.at(-1)).endsWith('before');
    const first = chat.sendMessage({ text: `wait ${gate}` });
    await until(() => shown(2), 'the first word');
    const sent = await transport.sendPendingMessage(chatId, { id: 'p1', role: 'user', parts: [{ type: 'text', text: 'later' }] });
    open();
    await first;
    const last = chat.sendMessage({ text: `wait ${gate}-2` });
    await until(() => shown(4), 'the first word of the last answer');
    writeFileSync(`${gate}-2`, '');
    await last;
    return { sent, texts: texts(chat), errors: chat.errors };
  },

  async absorbed() {
    // A send that gets no turn of its own: taken into the running answer, or cancelled. Its reader is told the end.
    const transport = makeTransport();
    const chat = new Chat({ transport });
    chat.sendMessage({ text: `call wait_for {"path": "${gate}"}` });
    await until(() => chat.messages.at(-1)?.parts.some(part => part.type === 'tool-wait_for'), 'the tool call');
    const message = { id: 'u2', role: 'user', parts: [{ type: 'text', text: 'be brief' }] };
    const second = await transport.sendMessages({
      chatId, trigger: 'submit-message', messages: [...chat.messages, message], body: { busy: given.busy },
    });
    if (given.busy === 'enqueue') {
      const path = `${url}/api/chat/${encodeURIComponent(chatId)}/queue/u2`;
      await fetch(path, { method: 'DELETE', headers: { Authorization: `Bearer ${secret}` } });
    }
    open();
    const types = (await readAll(second)).map(chunk => chunk.type);
    return { end: types.at(-1), answers: types.filter(type => type === 'finish').length };
  },

  async scopes() {
    await startSession();
    const id = encodeURIComponent(chatId);
    const out = `/realtime/v1/sessions/${id}/out`;
    const body = JSON.stringify({ kind: 'stop' });
    const rights = {};
    for (const [label, scopes] of Object.entries({
      read: { read: { sessions: chatId } },
      write: { write: { sessions: chatId } },
      out: { read: { sessions: `${chatId}:out` } },
      other: { read: { sessions: 'other' }, write: { sessions: 'other' } },
      kind: { read: { sessions: true } },
      admin: { admin: { sessions: [chatId] } },
      everything: { admin: true },
    })) {
      const token = await auth.createPublicToken({ scopes });
      rights[label] = [
        await status(out, token),
        await status(`${out}/records`, token),
        await status(`/api/v1/sessions/${id}`, token),
        await status(`/realtime/v1/sessions/${id}/in/append`, token, { method: 'POST', body }),
        await status(`/api/v1/sessions/${id}`, token, { method: 'PATCH', body: '{}' }),
        await status(`${out}/append`, token, { method: 'POST', body: '{}' }),
        await status(`/realtime/v1/sessions/${id}/in/records`, token),
      ];
    }
    return rights;
  },

  async handle() {
    await startSession();
    const session = sessions.open(chatId);
    const message = { id: 'u1', role: 'user', parts: [{ type: 'text', text: 'one two' }] };
    await session.in.send({ kind: 'message', payload: { chatId, trigger: 'submit-message', message } });
    const stop = new AbortController();
    const controls = [];
    const stream = await session.out.read({ signal: stop.signal, onControl: event => controls.push(event.subtype) });
    let text = '';
    for await (const chunk of stream) {
      if (chunk.type === 'text-delta') text += chunk.delta;
      if (text === 'one two') break;
    }
    stop.abort();
    return { text, dev: given.sdk };
  },

  async server() {
    const chat = new AgentChat({ agent: task, id: chatId, baseURL: url });
    await chat.preload();
    const told = await (await chat.sendMessage('one')).text();
    const acted = await (await chat.sendAction({ type: 'ask', text: 'two' })).text();
    const idle = await chat.reconnect();
    const late = idle === null ? '' : (await readAll(idle)).length;
    return { told, acted, late, keyless: await status('/api/v1/sessions', 'nothing') };
  },
};
