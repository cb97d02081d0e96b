// What a stranger tries: odd ids and sizes, closing and stopping in the middle, several watchers, tokens that end.
import { writeFileSync } from 'node:fs';
import { Chat as ReactChat, useChat } from '@ai-sdk/react';
import { createElement, useEffect } from 'react';
import { create } from 'react-test-renderer';
import {
  AgentChat, TriggerChatTransport, auth, chatId, ending, gate, name, secret, sessions, textOf, texts, until, url,
} from './client.mjs';

const { usePendingMessages } = await import(`${name}/chat/react`);
globalThis.IS_REACT_ACT_ENVIRONMENT = false;

/** One chat with an agent, and all that a test wants of it. */
class Talk {
  errors = [];
  events = [];

  constructor(label, { task = 'parrot', ...options } = {}) {
    this.id = `${chatId} ${label}`;
    this.gate = `${gate}-${label.replace(/\W/g, '')}`;
    this.options = options;
    this.task = task;
  }

  start = async () => {
    const input = { type: 'chat.agent', taskIdentifier: this.task, externalId: this.id, triggerConfig: { basePayload: {} } };
    return { publicAccessToken: (await sessions.start(input)).publicAccessToken };
  };

  token = async () => (await this.start()).publicAccessToken;

  transport(options = {}) {
    return new TriggerChatTransport({
      task: this.task, baseURL: url, accessToken: this.token, startSession: this.start, headers: { 'X-AI-SDK': '7' },
      onEvent: event => this.events.push(event.type), ...this.options, ...options,
    });
  }

  chat(transport = this.transport(), messages = []) {
    const chat = new ReactChat({ id: this.id, transport, messages, onError: error => this.errors.push(error.message) });
    chat.transport_ = transport;
    return chat;
  }

  open() {
    writeFileSync(this.gate, '');
  }

  stored = async () => {
    const path = `${url}/api/v1/sessions/${encodeURIComponent(this.id)}/history`;
    for (;;) {
      const found = await (await fetch(path, { headers: { Authorization: `Bearer ${secret}` } })).json();
      if (found.status === 'idle') return found.messages;
      await new Promise(resolve => setTimeout(resolve, 30));
    }
  };

  async same(chat) {
    return JSON.stringify(sorted(chat.messages)) === JSON.stringify(sorted(await this.stored()));
  }
}

const sorted = value =>
  Array.isArray(value) ? value.map(sorted)
  : value && typeof value === 'object' ? Object.fromEntries(Object.keys(value).sort().map(key => [key, sorted(value[key])]))
  : value;
const waiting = chat => chat.messages.length && textOf(chat.messages.at(-1)).endsWith('before');

/** All text that a watcher reads until so many answers have ended. */
async function watch(transport, id, answers) {
  const reader = (await transport.reconnectToStream({ chatId: id })).getReader();
  const seen = [];
  for (let left = answers; left > 0; ) {
    const { value, done } = await reader.read();
    if (done) break;
    if (value.type === 'text-delta') seen.push(value.delta);
    if (value.type === 'finish') left--;
  }
  await reader.cancel();
  return seen.join('');
}

const tests = {
  async oddId() {
    const talk = new Talk('é/ü ?#%2F&=+"\\ 😀/.../x');
    const chat = talk.chat();
    await chat.sendMessage({ text: 'naïve 😀 \u2028 "quoted"\n' });
    await chat.sendMessage({ text: 'two' });
    const token = await auth.createPublicToken({ scopes: { read: { sessions: talk.id }, write: { sessions: talk.id } } });
    const session = { [talk.id]: { publicAccessToken: token } };
    const other = talk.chat(talk.transport({ accessToken: () => token, startSession: undefined, sessions: session }));
    await other.sendMessage({ text: 'three' });
    const found = [];
    for await (const each of sessions.list({ externalId: talk.id })) found.push(each.externalId === talk.id);
    const retrieved = (await sessions.retrieve(talk.id)).externalId === talk.id;
    const closed = (await sessions.close(talk.id, { reason: 'ende ü' })).closedReason;
    return { texts: texts(chat).slice(2), other: texts(other), found, retrieved, closed, errors: talk.errors };
  },

  async metadata() {
    const talk = new Talk('metadata');
    const chat = talk.chat();
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`k${at}`, { at, text: 'ü'.repeat(at) }]));
    await chat.sendMessage({ text: 'one', metadata: many });
    await chat.sendMessage({ text: 'two', metadata: { deep: [[[{ a: null }]]] } });
    await Promise.all(Array.from({ length: 8 }, (_, at) => sessions.update(talk.id, { metadata: { at, many } })));
    const kept = (await sessions.retrieve(talk.id)).metadata;
    return { same: await talk.same(chat), kept: Object.keys(kept).length, errors: talk.errors };
  },

  async large() {
    const talk = new Talk('large');
    const chat = talk.chat();
    // The record is the message and about 200 bytes around it.
    await chat.sendMessage({ text: 'x'.repeat(1024 * 1024) });
    const refused = talk.errors.splice(0);
    chat.messages = [];
    await chat.sendMessage({ text: 'y'.repeat(1024 * 1024 - 400) });
    await chat.sendMessage({ text: 'two' });
    return { refused: refused.map(text => /413/.test(text)), same: await talk.same(chat), lengths: texts(chat).map(text => text.length), errors: talk.errors };
  },

  async watchers() {
    const talk = new Talk('watchers');
    const sender = talk.chat();
    const session = { [talk.id]: { publicAccessToken: await talk.token() } };
    const early = watch(talk.transport({ watch: true, sessions: session }), talk.id, 4);
    await sender.sendMessage({ text: 'one' });
    const { lastEventId } = sender.transport_.getSession(talk.id);
    const later = { [talk.id]: { ...session[talk.id], lastEventId } };
    const late = watch(talk.transport({ watch: true, sessions: later }), talk.id, 3);
    const steps = sender.sendMessage({ text: `wait ${talk.gate}` });
    await until(() => waiting(sender), 'the first word');
    const middle = watch(talk.transport({ watch: true, sessions: session }), talk.id, 1);
    talk.open();
    await steps;
    const server = new AgentChat({ agent: talk.task, id: talk.id, baseURL: url });
    await (await server.sendMessage('three')).text();
    await sender.regenerate({ messageId: sender.messages.at(-1).id });
    await Promise.all([early, late, middle]);
    return { early: await early, late: await late, middle: await middle, errors: talk.errors };
  },

  async closedInMid() {
    const talk = new Talk('closed');
    const chat = talk.chat();
    const sent = chat.sendMessage({ text: `wait ${talk.gate}` });
    await until(() => waiting(chat), 'the first word');
    await sessions.close(talk.id, { reason: 'enough' });
    talk.open();
    await sent;
    await chat.sendMessage({ text: 'more' });
    const refused = talk.errors.length;
    const retrieved = (await sessions.retrieve(talk.id)).closedReason;
    return { refused, retrieved, text: textOf(chat.messages[1]), stored: (await talk.stored()).map(textOf).slice(1) };
  },

  async stopAndSend() {
    const talk = new Talk('stop');
    const chat = talk.chat();
    const sent = chat.sendMessage({ text: `wait ${talk.gate}` });
    await until(() => waiting(chat), 'the first word');
    const stopped = chat.transport_.stopGeneration(talk.id);
    await stopped;
    await sent;
    await chat.sendMessage({ text: 'next' });
    await chat.sendMessage({ text: 'last' });
    return { texts: texts(chat).slice(1), stored: (await talk.stored()).map(textOf).slice(1), errors: talk.errors };
  },

  async serverTools() {
    const talk = new Talk('tools', { task: 'helper' });
    const chat = new AgentChat({ agent: 'helper', id: talk.id, baseURL: url });
    talk.open();
    const told = await (await chat.sendMessage(`call wait_for {"path": "${talk.gate}"}`)).result();
    const asked = await (await chat.sendMessage('call ask_place {}')).result();
    const answer = (await talk.stored()).at(-1);
    const parts = answer.parts.filter(part => part.type === 'tool-ask_place').map(part => ({ ...part, state: 'output-available', output: 'Rome' }));
    const chunks = [];
    for await (const chunk of await chat.sendRaw([{ ...answer, parts }], { trigger: 'submit-message' })) chunks.push(chunk.type);
    return {
      told: [told.toolCalls.map(each => each.toolName), told.toolResults.map(each => each.output), told.text.length > 0],
      asked: [asked.toolCalls.map(each => each.toolName), asked.toolResults.length],
      answered: [chunks.at(-1), (await talk.stored()).length, (await talk.stored()).at(-1).parts.map(part => part.state)],
    };
  },

  async expiredInWatch() {
    const talk = new Talk('expired');
    await talk.start();
    const scopes = { read: { sessions: talk.id } };
    const short = await auth.createPublicToken({ scopes, expirationTime: ending() });
    let asked = 0;
    const transport = talk.transport({
      watch: true, sessions: { [talk.id]: { publicAccessToken: short } }, accessToken: () => (asked++, talk.token()),
    });
    const seen = watch(transport, talk.id, 1);
    await until(() => asked > 0, 'a new token');
    const sender = talk.chat();
    await sender.sendMessage({ text: 'after all' });
    return { asked, seen: await seen, errors: talk.errors };
  },

  async sideChannel() {
    const talk = new Talk('side');
    await talk.start();
    const shots = sessions.defineChannel('shots');
    const channel = sessions.open(talk.id).channel(shots);
    const path = side => `${url}/realtime/v1/sessions/${encodeURIComponent(talk.id)}/channels/shots/${side}`;
    const post = (side, token, value) =>
      fetch(`${path(side)}/append`, { method: 'POST', headers: { Authorization: `Bearer ${token}` }, body: JSON.stringify(value) });
    const stop = new AbortController();
    const stream = await channel.out.read({ signal: stop.signal });
    for (const step of [1, 2]) await post('out', secret, { step });
    const frames = [];
    for await (const frame of stream) if (frames.push(frame) === 2) break;
    stop.abort();
    await channel.in.send({ paused: true });
    const token = await auth.createPublicToken({ scopes: { read: { sessions: `${talk.id}:channels:shots` } } });
    const headers = { Authorization: `Bearer ${token}` };
    const { records } = await (await fetch(`${path('in')}/records`, { headers })).json();
    const idle = (await sessions.retrieve(talk.id)).currentRunId;
    const forged = (await post('out', token, {})).status;
    const written = await channel.out.append({ step: 3 }).then(() => 'written', error => error.status ?? String(error));
    return { frames, got: records.map(each => each.data), idle, forged, written };
  },

  async staleCursor() {
    const talk = new Talk('stale');
    const chat = talk.chat();
    for (const text of ['one', 'two', 'three', 'four']) await chat.sendMessage({ text });
    const token = await talk.token();
    const results = [];
    for (const lastEventId of ['99999', chat.transport_.getSession(talk.id).lastEventId]) {
      const transport = talk.transport({ sessions: { [talk.id]: { publicAccessToken: token, lastEventId } } });
      const later = talk.chat(transport, structuredClone(chat.messages));
      await later.resumeStream();
      const idle = texts(later);
      await later.sendMessage({ text: `after ${lastEventId}` });
      results.push([idle.length, texts(later).at(-1) === `after ${lastEventId}`]);
    }
    return { results, errors: talk.errors };
  },

  async queueAndPromote() {
    const talk = new Talk('queue', { task: 'helper' });
    const transport = talk.transport();
    let latest;
    function Page() {
      const chat = useChat({ id: talk.id, transport });
      const pending = usePendingMessages({ transport, chatId: talk.id, ...chat });
      useEffect(() => void (latest = { chat, pending }));
      return null;
    }
    const root = create(createElement(Page));
    await until(() => latest !== undefined, 'the page');
    latest.chat.sendMessage({ text: `call wait_for {"path": "${talk.gate}"}` });
    const called = () => latest.chat.messages.at(-1)?.parts.some(part => part.type === 'tool-wait_for');
    await until(() => called() && latest.chat.status === 'streaming', 'the tool call');
    latest.pending.queue(`call wait_for {"path": "${talk.gate}2"}`);
    latest.pending.queue('second');
    await until(() => latest.pending.pending.length === 2, 'the queue');
    latest.pending.promoteToSteering(latest.pending.pending[0].id);
    await until(() => talk.events.filter(type => type === 'message-sent').length === 2, 'the promoted message');
    talk.open();
    await until(() => latest.pending.pending.length === 1, 'the promoted message in the answer');
    writeFileSync(`${talk.gate}2`, '');
    await until(() => latest.chat.status === 'ready' && latest.chat.messages.length === 4, 'the queued turn');
    const injected = latest.chat.messages[1].parts.filter(part => latest.pending.isInjectionPoint(part));
    const texts_ = latest.chat.messages.map(textOf);
    const left = latest.pending.pending.length;
    const stored = await talk.stored();
    root.unmount();
    return { injected: injected.length, asked: texts_[2], left, stored: stored.length, errors: talk.errors };
  },
};

/** What one of them found; what fails or never ends is told beside the others. */
async function tried(each) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error('not in time')), 90_000).unref());
  return Promise.race([tests[each](), late]).catch(error => ({ failed: String(error.stack) }));
}

export const scenarios = {
  async odd() {
    return Object.fromEntries(await Promise.all(Object.keys(tests).map(async each => [each, await tried(each)])));
  },
};
